"""The OpenAPI document and its two readers, limited like everything else: making the document takes a good part of a second."""

from __future__ import annotations

from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView

from accounts.limits import LimitedView
from accounts.models import EndpointClass


class SchemaView(LimitedView, SpectacularAPIView):
    rate_class = EndpointClass.OTHER


class SwaggerView(LimitedView, SpectacularSwaggerView):
    rate_class = EndpointClass.OTHER


class RedocView(LimitedView, SpectacularRedocView):
    rate_class = EndpointClass.OTHER
