from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Access"

    def ready(self) -> None:
        from accounts import checks, schema, sign_ins  # noqa: F401  (registers system checks and OpenAPI extensions)

        sign_ins.connect()
