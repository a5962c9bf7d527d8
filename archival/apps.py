from django.apps import AppConfig


class ArchivalConfig(AppConfig):
    name = "archival"

    def ready(self) -> None:
        # Named here, for Celery looks for an app's tasks in its module of that name only.
        import archival.cleanups.tasks
        import archival.dual_control.tasks  # noqa: F401
        from archival.cold import SegmentsTier
        from archival.dual_control.gate import defer_erasure
        from archival.holds import reason_to_keep
        from logs.extensions import register_cold_tier, register_erasure_gate, register_erasure_guard
        from logs.schedules import register_schedules

        register_cold_tier(SegmentsTier())
        register_erasure_guard(reason_to_keep)
        register_erasure_gate(defer_erasure)
        register_schedules(
            [
                ("Tend restores", "archival.tasks.tend_restores", 1),
                ("Tend acts under dual control", "archival.dual_control.tend_acts", 1),
                ("Tend clean-ups", "archival.tasks.tend_cleanups", 1),
            ]
        )
