"""What people do about alerts: acknowledge them, close them, say why."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection

from django.db import transaction

from accounts.problems import Fault, Invalid, NotFound
from accounts.versions import locked
from logs.models import Alert, AlertState

MAX_NOTE_CHARACTERS = 4_000


def handle(tenant_id: uuid.UUID, id: int, state: AlertState, by: str, note: str | None, now: datetime.datetime, etags: Collection[str] | None = None) -> Alert:
    """Acknowledge or close an alert, if it still has one of `etags` (None: whichever it has). `by`: who, as `Principal.source` names them.

    `note`: in the place of the one before; None: that stays. What is closed can't be acknowledged any more.
    Raises NotFound or Invalid.
    """
    if note is not None and "\x00" in note:
        raise Invalid([Fault("/note", "nul_character", "The text has a NUL character (\\u0000), which can't be kept.")])
    with transaction.atomic():
        alert = locked(Alert.objects.select_for_update().filter(tenant_id=tenant_id, pk=id), etags, no_such_alert(id))
        if state == AlertState.ACKNOWLEDGED and alert.state == AlertState.CLOSED:
            raise Invalid([Fault("", "closed", "The alert is closed already.")])
        alert.state, alert.changed_by, alert.changed_at = state, by, now
        if note is not None:
            alert.note = note
        alert.version += 1
        alert.save(update_fields=["state", "changed_by", "changed_at", "note", "version"])
        return alert


def no_such_alert(id: int) -> NotFound:
    return NotFound(f"There is no alert {id}.")
