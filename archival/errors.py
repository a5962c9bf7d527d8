"""Errors of archival. The base and how they look on the wire are `accounts.problems`.

Refused
└── ConfirmationNeeded     422  what was asked would purge much: it has to be said a second time
"""

from __future__ import annotations

from typing import Any

from accounts.problems import Fault, Invalid


class ConfirmationNeeded(Invalid):
    """`confirm`: what has to be sent. Nothing was changed."""

    code = "confirmation_needed"
    title = "It would purge much: say so once more"

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__([Fault("/confirm", "not_confirmed", detail)], **more)
