"""Tables of what leaves the hot log and what may not. No logic beyond what a row knows about itself."""

from archival.models.hold import HeldThing, LegalHold

__all__ = ["HeldThing", "LegalHold"]
