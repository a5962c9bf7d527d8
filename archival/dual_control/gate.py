"""Erasures that need a second Admin: the log's door (`logs.extensions`) for them."""

from __future__ import annotations

import datetime

from django.urls import reverse

from accounts.principals import Principal
from accounts.recording import Whence
from archival.dual_control.acts import Asker, ask
from archival.dual_control.settings import needs_second
from archival.models import ActKind
from logs.extensions import Deferral


def defer_erasure(principal: Principal, subject: str, reason: str, whence: Whence) -> Deferral | None:
    """Have an erasure wait for a second Admin, where the tenant wants that. Raises NotAllowed or NotRecorded."""
    if not needs_second(principal.tenant_id, ActKind.ERASURE):
        return None
    asker = Asker(principal.tenant_id, principal.source, principal, whence)
    act = ask(asker, ActKind.ERASURE, {"subject": subject}, reason, datetime.datetime.now(datetime.UTC))
    return Deferral(act.pk, reverse("pending-act", args=[act.pk]))
