from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Access"
    default = True

    def ready(self) -> None:
        from accounts import checks, schema  # noqa: F401  (registers system checks and OpenAPI extensions)


class AdminConfig(admin_apps.AdminConfig):
    """Django's admin on our own site."""

    default_site = "accounts.admin_site.AdminSite"
    default = False
