from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Access"

    def ready(self) -> None:
        from django.contrib import admin

        from accounts import checks, recorded_admin, schema, sign_ins  # noqa: F401  (registers system checks and OpenAPI extensions)

        sign_ins.connect()
        # Whatever apps register has been registered by now: Django's admin, which looks for it, comes before this app.
        recorded_admin.cover(admin.site)
