from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Access"
    default = True

    def ready(self) -> None:
        from django.contrib import admin

        from accounts import checks, recorded_admin, schema  # noqa: F401  (registers system checks and OpenAPI extensions)

        # Whatever apps register has been registered by now: Django's admin, which looks for it, comes before this app.
        recorded_admin.cover(admin.site)


class AdminConfig(admin_apps.AdminConfig):
    """Django's admin on our own site."""

    default_site = "accounts.admin_site.AdminSite"
    default = False
