from django.apps import AppConfig


class ArchivalConfig(AppConfig):
    name = "archival"

    def ready(self) -> None:
        from archival.cold import SegmentsTier
        from archival.holds import reason_to_keep
        from logs.extensions import register_cold_tier, register_erasure_guard

        register_cold_tier(SegmentsTier())
        register_erasure_guard(reason_to_keep)
