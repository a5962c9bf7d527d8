"""Tables of what leaves the hot log and what may not. No logic beyond what a row knows about itself."""

from archival.models.hold import HeldThing, LegalHold
from archival.models.restore import Restore, RestoreState
from archival.models.segment import Segment, SegmentState

__all__ = ["HeldThing", "LegalHold", "Restore", "RestoreState", "Segment", "SegmentState"]
