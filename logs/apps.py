from django.apps import AppConfig


class LogsConfig(AppConfig):
    name = "logs"
    verbose_name = "Log"

    def ready(self) -> None:
        from logs.api import schema  # noqa: F401  (registers an OpenAPI extension)
