from django.apps import AppConfig


class LogsConfig(AppConfig):
    name = "logs"
    verbose_name = "Log"

    def ready(self) -> None:
        from accounts.extensions import register_recorder
        from logs import checks  # noqa: F401  (registers system checks)
        from logs.access import recorder
        from logs.api import schema  # noqa: F401  (registers an OpenAPI extension)

        register_recorder(recorder)
