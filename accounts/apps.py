from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Access"

    def ready(self) -> None:
        from accounts import checks, schema  # noqa: F401  (registers system checks and OpenAPI extensions)
