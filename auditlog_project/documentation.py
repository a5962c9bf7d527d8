"""The OpenAPI document and its two readers: limited like everything else, for making the document takes a good part of a second.

Each page has a policy of its own: what it needs, and no more.
"""

from __future__ import annotations

from typing import Any

from csp.utils import build_policy
from django.conf import settings
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.limits import LimitedView
from accounts.models import EndpointClass

_PAGES = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
SWAGGER_POLICY = build_policy(config=_PAGES)
# It writes its styles into the page as it runs, and searches in a worker that it makes of a text.
REDOC_POLICY = build_policy(config=_PAGES | {"style-src": ["'self'", "'unsafe-inline'"], "worker-src": ["blob:"]})


class SchemaView(LimitedView, SpectacularAPIView):
    rate_class = EndpointClass.OTHER


class _Page(LimitedView):
    rate_class = EndpointClass.OTHER
    policy = SWAGGER_POLICY

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer: Response = super().finalize_response(request, response, *args, **kwargs)
        answer.headers["Content-Security-Policy"] = self.policy
        return answer


class SwaggerView(_Page, SpectacularSwaggerSplitView):
    """Swagger UI, its script apart from its page."""


class RedocView(_Page, SpectacularRedocView):
    """ReDoc."""

    policy = REDOC_POLICY
