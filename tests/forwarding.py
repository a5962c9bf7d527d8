"""Forwarders for tests, at a test's command."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

from accounts.models import Tenant
from logs.forwarding import NewForwarder, create_forwarder
from logs.forwarding.destinations import NotTaken
from logs.forwarding.following import ForwarderFollower
from logs.models import Forwarder
from tests.delivering import Call
from tests.sequencing import now, sequence_all
from tests.storing import store


def forwarder(tenant: Tenant, kind: str, url: str, **fields: Any) -> tuple[Forwarder, str]:
    return create_forwarder(
        tenant.id, "user:root", NewForwarder(name=f"to {url}", kind=kind, url=url, **fields), now(), 0 if fields.get("is_active", True) else None
    )


def commit(tenant: Tenant, count: int, first: int = 0) -> list[str]:
    """Entries with positions, in batches; answers their ids in the order of positions."""
    ids = [id for start in range(0, count, 50) for id in store(tenant, [{"resource_id": str(first + start + one)} for one in range(min(50, count - start))])]
    sequence_all()
    return ids


def until_sent(follower: ForwarderFollower, row: Forwarder, size: int, *, seconds: float = 30) -> None:
    """Step until everything has arrived, whatever fails meanwhile."""
    deadline = time.monotonic() + seconds
    while Forwarder.objects.get(pk=row.pk).position < size - 1:
        assert time.monotonic() < deadline, Forwarder.objects.get(pk=row.pk).last_error
        try:
            if not follower.step():
                time.sleep(0.01)
        except NotTaken:
            time.sleep(0.05)


def lines_of(call: Call) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(call.content).splitlines()]


def has_failed(follower: ForwarderFollower) -> bool:
    try:
        follower.step()
    except NotTaken:
        return True
    return False
