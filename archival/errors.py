"""Errors of archival. The base and how they look on the wire are `accounts.problems`.

Refused
├── ConfirmationNeeded     422  what was asked would purge much: it has to be said a second time
├── ActOver                409  an act under dual control is decided already
└── MoreThanConfirmed      409  a clean-up would purge more than its dry run counted
"""

from __future__ import annotations

from typing import Any

from accounts.problems import Fault, Invalid, Refused
from archival.models import PendingAct


class ConfirmationNeeded(Invalid):
    """`confirm`: what has to be sent. Nothing was changed."""

    code = "confirmation_needed"
    title = "It would purge much: say so once more"

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__([Fault("/confirm", "not_confirmed", detail)], **more)


class ActOver(Refused):
    """It is not waiting any more for what was to be done with it."""

    status = 409
    code = "act_over"
    title = "The pending act is decided already"

    def __init__(self, act: PendingAct) -> None:
        super().__init__(f"The pending act {act.pk} is {act.state}, or its time to be confirmed is over.", state=str(act.state))


class MoreThanConfirmed(Refused):
    """`confirmed` and `would_purge`: entries. Nothing was purged."""

    status = 409
    code = "more_than_confirmed"
    title = "It would purge more than was confirmed"

    def __init__(self, confirmed: int, entries: int) -> None:
        detail = f"The dry run counted {confirmed} entries, and {entries} would be purged now. Do the dry run again."
        super().__init__(detail, confirmed=confirmed, would_purge=entries)
