from django.apps import AppConfig


class ArchivalConfig(AppConfig):
    name = "archival"

    def ready(self) -> None:
        from archival.holds import reason_to_keep
        from logs.extensions import register_erasure_guard

        register_erasure_guard(reason_to_keep)
