from django.apps import AppConfig


class ArchivalConfig(AppConfig):
    name = "archival"

    def ready(self) -> None:
        from archival.cold import SegmentsTier
        from archival.holds import reason_to_keep
        from logs.extensions import register_cold_tier, register_erasure_guard
        from logs.schedules import register_schedules

        register_cold_tier(SegmentsTier())
        register_erasure_guard(reason_to_keep)
        register_schedules([("Tend restores", "archival.tasks.tend_restores", 1)])
