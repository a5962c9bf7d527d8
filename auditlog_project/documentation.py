"""The API's documentation as pages, each with a policy of its own: what it needs, and no more."""

from __future__ import annotations

from typing import Any

from csp.utils import build_policy
from django.conf import settings
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

_PAGES = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
SWAGGER_POLICY = build_policy(config=_PAGES)
# It writes its styles into the page as it runs, and searches in a worker that it makes of a text.
REDOC_POLICY = build_policy(config=_PAGES | {"style-src": ["'self'", "'unsafe-inline'"], "worker-src": ["blob:"]})


class _Page:
    policy = SWAGGER_POLICY

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer: Response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]  # the view's, which this is mixed into
        answer.headers["Content-Security-Policy"] = self.policy
        return answer


class SwaggerPage(_Page, SpectacularSwaggerSplitView):
    """Swagger UI, its script apart from its page."""


class RedocPage(_Page, SpectacularRedocView):
    """ReDoc."""

    policy = REDOC_POLICY
