"""A year of a real log, week after week: three policies, a hold and an erasure, planned over real rows and real holds.

What the archiver moves is moved here by hand (rows leave the table and are kept beside it), so that this is of what is due, and when.
"""

from __future__ import annotations

import datetime
import random
import uuid
from typing import Any

import pytest
from django.db import connections, transaction
from psycopg import sql

from accounts.models import Role, Tenant
from archival.due import Due
from archival.models import LegalHold
from archival.retention.finding import policies_of
from archival.retention.held import held_in
from archival.retention.planning import due_cold, due_hot
from logs.models import Severity
from logs.search.predicate import predicate_of
from logs.search.sql import condition_of
from logs.search.tree import Node, TextIs
from logs.storage.reading import tenant_transaction
from tests.api import LOGS, Api
from tests.retaining import DAY, TYPES, Made, Place, place_by_hand
from tests.storing import new_tenant, new_token, store

YEAR = 365
# Of an hour past midnight, as the schedule may run it.
BEGINNING = (datetime.datetime.now(datetime.UTC) - YEAR * DAY).replace(hour=1)
POLICIES: list[dict[str, Any]] = [
    {"name": "Notes", "resource_types": ["note"], "hot_days": 20, "cold_days": 0, "precedence": 1},
    {"name": "Errors", "severities": ["ERROR", "CRITICAL"], "hot_days": 60, "cold_days": 200, "precedence": 2},
    {"name": "Payments", "resource_types": ["payment"], "actions": ["UPDATE"], "hot_days": 45, "cold_days": None, "precedence": 3},
]
HELD: tuple[Node, ...] = (TextIs("resource_type", ("note",)),)


def made_at_random(dice: random.Random) -> list[tuple[Made, dict[str, Any]]]:
    """Entries over the year, as the model has them and as they are posted."""
    found = []
    for number in range(300):
        severity = dice.choice(Severity.values)
        entry = Made(number, BEGINNING + dice.random() * YEAR * DAY, dice.choice(TYPES), dice.choice(["READ", "UPDATE"]), severity)
        posted = {"timestamp": entry.at.isoformat(), "resource_type": entry.resource_type, "action": entry.action}
        found.append((entry, posted | {"severity": Severity(severity).label, "user_id": dice.choice(["carol", "dave"]), "after": {"n": number}}))
    return found


class Tiers:
    """The tenant's entries: hot ones are rows, cold and purged ones are remembered by id."""

    def __init__(self, tenant: Tenant, entries: dict[uuid.UUID, Made]) -> None:
        self._tenant = tenant
        self._entries = entries
        self._gone: dict[uuid.UUID, Place] = {}

    def run(self, now: datetime.datetime) -> None:
        """What the archiver does on one day."""
        policies, held = policies_of(self._tenant.id), held_in(self._tenant.id)
        for due in due_hot(self._tenant.id, policies, held, now):
            self._gone |= dict.fromkeys(self._take(due), "cold" if due.fate == "archive" else "purged")
        for due in due_cold(self._tenant.id, policies, held, now):
            holds = predicate_of(due.tree)
            found = [id for id, place in self._gone.items() if place == "cold" and id in self._entries and holds(self._entries[id].facts())]
            self._gone |= dict.fromkeys(found, "purged")

    def places(self) -> dict[Made, Place]:
        with tenant_transaction(self._tenant.id) as cursor:
            cursor.execute("SELECT id FROM auditlog.logs_entry_view")
            hot = {row[0] for row in cursor.fetchall()}
        assert not hot & set(self._gone)
        return {entry: "hot" if id in hot else self._gone[id] for id, entry in self._entries.items()}

    def _take(self, due: Due) -> list[uuid.UUID]:
        """The rows that are due leave the table."""
        where = condition_of(due.tree, due.tenant_id)
        chosen = sql.SQL("SELECT id FROM auditlog.logs_entry_view AS e WHERE {}").format(where.text)
        with transaction.atomic("maintenance"), connections["maintenance"].cursor() as cursor:
            cursor.execute("SELECT set_config('auditlog.tenant', %s, true)", [str(due.tenant_id)])
            delete = sql.SQL("DELETE FROM auditlog.logs_entry WHERE tenant_id = %s AND id IN ({}) RETURNING id").format(chosen)
            cursor.execute(delete, [due.tenant_id, *where.parameters])
            return [row[0] for row in cursor.fetchall()]


@pytest.mark.slow
def test_year_ends_in_the_state_that_the_model_says() -> None:
    tenant = new_tenant()
    admin = Api(new_token(tenant, Role.ADMIN))
    for policy in POLICIES:
        assert admin.post("/api/v1/retention-policies", policy).status_code == 201
    made = made_at_random(random.Random(7))
    entries = dict(zip(map(uuid.UUID, store(tenant, [posted for _, posted in made])), [entry for entry, _ in made], strict=True))
    rules, tiers = policies_of(tenant.id), Tiers(tenant, entries)
    expected: dict[Made, Place] = {}
    hold = None
    for day in range(0, YEAR + 300, 7):
        now = BEGINNING + day * DAY
        if day == 70:
            hold = LegalHold.objects.create(tenant=tenant, holds="query", query="resource_type:note", reason="a case", placed_by="x")
        if day == 210 and hold is not None:
            LegalHold.objects.filter(pk=hold.pk).update(released_at=now)
        if day == 280:
            erasure = admin.post("/api/v1/erasures", {"subject": "carol", "reason": "they asked for it", "confirm": "carol"}).json()
            left = admin.get(LOGS, user_id="carol", limit=1000).json()["results"]
            assert (erasure["state"], len(left) > 10) == ("done", True)
            assert all(entry["after"] == {"encrypted": True, "erased": True} for entry in left)
        tiers.run(now)
        expected = {entry: place_by_hand(entry, expected.get(entry), rules, HELD if 70 <= day < 210 else (), now) for entry in entries.values()}
        assert tiers.places() == expected, day
    # What was erased has stayed where it was to be, and both other ends have come to pass.
    assert set(expected.values()) >= {"cold", "purged"}
