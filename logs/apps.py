from django.apps import AppConfig


class LogsConfig(AppConfig):
    name = "logs"
    verbose_name = "Log"

    def ready(self) -> None:
        from accounts import forced_queries
        from accounts.extensions import register_recorder
        from logs import checks  # noqa: F401  (registers system checks)
        from logs.access import recorder
        from logs.api import schema  # noqa: F401  (registers an OpenAPI extension)
        from logs.search import sight

        forced_queries.set_check(sight.check_forced_query)
        register_recorder(recorder)
