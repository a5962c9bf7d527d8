"""Tables of what leaves the hot log and what may not. No logic beyond what a row knows about itself."""

from archival.models.cleanup import CLEANUPS_UNDER_WAY, Cleanup, CleanupState
from archival.models.dual_control import WAITING, ActKind, ActState, DualControl, PendingAct
from archival.models.hold import HeldThing, LegalHold
from archival.models.policy import RetentionPolicy
from archival.models.restore import Restore, RestoreState
from archival.models.segment import Segment, SegmentState

__all__ = [
    "CLEANUPS_UNDER_WAY",
    "WAITING",
    "ActKind",
    "ActState",
    "Cleanup",
    "CleanupState",
    "DualControl",
    "HeldThing",
    "LegalHold",
    "PendingAct",
    "Restore",
    "RestoreState",
    "RetentionPolicy",
    "Segment",
    "SegmentState",
]
