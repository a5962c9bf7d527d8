"""Middleware: Django's own for browser pages, kept off the API; and what every answer of the API carries.

The API takes no cookie, so nothing of it can be forged across sites and none of it needs a session.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.middleware import AuthenticationMiddleware as DjangoAuthentication
from django.contrib.messages.middleware import MessageMiddleware as DjangoMessages
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessions
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.middleware.clickjacking import XFrameOptionsMiddleware as DjangoXFrameOptions
from django.middleware.common import CommonMiddleware as DjangoCommon
from django.middleware.csrf import CsrfViewMiddleware as DjangoCsrf
from django.utils.deprecation import MiddlewareMixin
from django_otp.middleware import OTPMiddleware

from accounts.addresses import settle_address
from accounts.problems import Problem

API_PREFIXES = ("/api/", "/healthz", "/readyz", "/metrics", "/.well-known/")
# A page that shows an answer of the API as a document can load nothing by it, and nobody can frame it.
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
# What browsers would otherwise let any page of ours use, and let others take from us.
PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
SIGNED_IN_AT = "signed_in_at"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/=+-]{1,128}")


def is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith(API_PREFIXES)


class _OffApi(MiddlewareMixin):
    """Lets requests to the API pass by the middleware that it is mixed into."""

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request) if is_api(request) else super().__call__(request)


class SessionMiddleware(_OffApi, DjangoSessions):
    pass


class SessionAgeMiddleware(_OffApi, MiddlewareMixin):
    """Ends a session that is AUDITLOG_SESSION_HOURS old, however much it is used. Comes before anybody asks whose it is."""

    def process_request(self, request: HttpRequest) -> None:
        if SESSION_KEY not in request.session:
            return
        now = time.time()
        if now - request.session.setdefault(SIGNED_IN_AT, now) > settings.AUDITLOG_SESSION_HOURS * 3600:
            request.session.flush()


class CommonMiddleware(_OffApi, DjangoCommon):
    pass


class CsrfViewMiddleware(_OffApi, DjangoCsrf):
    def process_view(self, request: HttpRequest, callback: Any, callback_args: Any, callback_kwargs: Any) -> HttpResponseForbidden | None:
        return None if is_api(request) else super().process_view(request, callback, callback_args, callback_kwargs)


class AuthenticationMiddleware(_OffApi, DjangoAuthentication):
    pass


class SecondFactorMiddleware(_OffApi, MiddlewareMixin):
    """django-otp's: `request.user.otp_device` is what the session's second factor was shown by, or None."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        super().__init__(get_response)
        self._otp = OTPMiddleware(get_response)

    def process_request(self, request: HttpRequest) -> None:
        self._otp._install_lazy_accessors(request)


class ContentSecurityPolicyMiddleware(_OffApi, CSPMiddleware):
    """django-csp's, for pages; what the API answers has a policy of its own, and costs no time to build."""


class MessageMiddleware(_OffApi, DjangoMessages):
    pass


class XFrameOptionsMiddleware(_OffApi, DjangoXFrameOptions):
    pass


class ApiHeaders:
    """Gives every request an id (the caller's `X-Request-Id` if it is a sane one) and every answer its headers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Before anything reads them: headers that claim another address, or HTTPS.
        settle_address(request.META)
        offered = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = offered if _REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex
        request.META["auditlog.request_id"] = request_id
        response = self.get_response(request)
        headers = response.headers
        headers["X-Request-Id"] = request_id
        if not response.streaming and "Content-Length" not in headers:
            headers["Content-Length"] = str(len(response.content))
        headers["Permissions-Policy"] = PERMISSIONS
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if is_api(request):
            headers.setdefault("Cache-Control", "no-store")
            headers.setdefault("Content-Security-Policy", API_POLICY)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A problem that no view of the API has answered: in the admin, what can't be recorded is not done."""
        return exception.response() if isinstance(exception, Problem) else None
