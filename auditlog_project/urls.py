"""Every path of the product."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.api.sign_in_views import KeySetView

# `celery`: tasks that a view sends would go to Celery's own default broker, had nobody made the application.
from accounts.limits import limited_sign_in
from archival.api.cleanups import CleanupView
from auditlog_project import celery, documentation, health, metrics  # noqa: F401

urlpatterns = [
    # Before the log's own, for which it would be the id of an entry.
    path("api/v1/logs/cleanup", CleanupView.as_view(), name="cleanup"),
    # First what is asked for most: the patterns are tried in their order.
    path("api/v1/", include("logs.api.urls")),
    path("api/v1/", include("accounts.api.urls")),
    path("api/v1/", include("archival.api.urls")),
    path("", RedirectView.as_view(pattern_name="docs"), name="home"),
    path("api/v1/schema", documentation.SchemaView.as_view(), name="schema"),
    path("api/v1/docs", documentation.SwaggerView.as_view(url_name="schema"), name="docs"),
    path("api/v1/redoc", documentation.RedocView.as_view(url_name="schema"), name="redoc"),
    # Where others look for it (RFC 8414 §3, OpenID Connect Discovery's habit).
    path(".well-known/jwks.json", KeySetView.as_view(schema=None), name="jwks"),
    path("account/", include("accounts.portal.urls")),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    # Before the admin's own of the same name: it counts attempts.
    path("admin/login/", limited_sign_in(admin.site.login)),
    path("admin/", admin.site.urls),
]
handler400 = "accounts.problems.bad_request_page"
handler404 = "accounts.recording.unknown_route"
handler500 = "accounts.problems.server_error_page"
