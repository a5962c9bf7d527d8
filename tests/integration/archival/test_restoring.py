"""Restores: archived entries come back as they were, stay for their days, and may leave again."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client

from accounts.deeds import Actor
from accounts.models import Role, Tenant, User
from accounts.problems import Invalid
from archival import restoring, tasks
from archival.models import Restore, RestoreState
from archival.restoring import NewRestore, ask_restore, carry_on, end_restore, is_kept
from logs.integrity.proving import prove_row
from logs.search import sight, tiers
from logs.storage.columns import STORED_WITH_BATCH
from logs.storage.engines import Partition
from logs.storage.ids import floor_id
from logs.storage.locks import RESTORE
from logs.storage.reading import tenant_transaction
from tests.api import LOGS, Api, assert_refused, stored_count
from tests.archiving import archive, archive_at, file_of
from tests.sequencing import sequence_all
from tests.storing import new_tenant, new_token, principal_in, store

START = datetime.datetime(2025, 7, 1, tzinfo=datetime.UTC)
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
COUNT, ARCHIVED = 60, 40
RESTORES = "/api/v1/archive/restores"
REASON = "Case 4711: tax audit."
GIVEN: dict[str, Any] = {"from": "2025-07-01T00:00:00Z", "to": "2025-08-01T00:00:00Z", "days": 3, "reason": REASON}


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[Tenant]:
    tenant = new_tenant()
    store(tenant, [{"timestamp": (START + number * DAY / 2).isoformat(), "user_id": f"u{number % 4}", "before": {"a": 1}} for number in range(COUNT)])
    sequence_all()
    with archive_at(tmp_path / "archive"):
        archive(tenant, high=floor_id(START + ARCHIVED * DAY / 2), group_rows=8)
        yield tenant


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN, "alice"))


def asked(tenant: Tenant, *, query: str = "", days: int = 3) -> Restore:
    wanted = NewRestore(START, START + 31 * DAY, days, REASON, query)
    return ask_restore(Actor(tenant.id, "alice", "user:alice"), wanted, datetime.datetime.now(datetime.UTC))


def lines(tenant: Tenant) -> dict[str, Any]:
    """Every entry as it is stored, with its place and its proof, by id."""
    found = {}
    with tenant_transaction(tenant.id) as cursor:
        cursor.execute("SELECT id FROM auditlog.logs_entry_view WHERE source <> 'auditlog'")
        for (id,) in cursor.fetchall():
            row = sight.find_one(cursor, STORED_WITH_BATCH, id, principal_in(tenant))
            assert row is not None
            found[str(id)] = (row, prove_row(cursor, row).output.leaf_hash)
    return found


def test_entries_come_back_as_they_were_with_their_proofs(tmp_path: Path) -> None:
    tenant = new_tenant()
    store(tenant, [{"timestamp": (START + number * DAY).isoformat(), "metadata": {"n": number}, "after": {"a": [1, "x"]}} for number in range(20)])
    sequence_all()
    before = lines(tenant)
    with archive_at(tmp_path / "archive"):
        archive(tenant)
        assert stored_count(tenant) == 0
        restore = asked(tenant)
        carry_on(restore.pk)
        assert lines(tenant) == before
    restore.refresh_from_db()
    assert (restore.state, restore.entries_restored, restore.error) == (RestoreState.DONE, 20, "")


def test_query_brings_back_what_it_finds_and_search_gives_each_once(tenant: Tenant, admin: Api) -> None:
    restore = asked(tenant, query="user:u1")
    carry_on(restore.pk)
    restore.refresh_from_db()
    assert (restore.state, restore.entries_restored) == (RestoreState.DONE, 10)
    assert stored_count(tenant) == COUNT - ARCHIVED + 10
    found = {which: admin.get(LOGS, limit=100, to="2025-12-31T00:00:00Z", archived=which).json()["results"] for which in ("include", "exclude", "only")}
    assert [len(found[which]) for which in ("include", "exclude", "only")] == [COUNT, COUNT - ARCHIVED + 10, ARCHIVED]
    assert len({entry["id"] for entry in found["include"]}) == COUNT


def test_restore_that_died_goes_on_and_doubles_nothing(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    restore = asked(tenant)
    monkeypatch.setattr(restoring, "CHUNK_ROWS", 7)

    class Killed(BaseException):
        pass

    calls = 0
    inner = tiers.values_by_column

    def dies(rows: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise Killed
        return inner(rows)

    monkeypatch.setattr(restoring, "values_by_column", dies)
    with pytest.raises(Killed):
        carry_on(restore.pk)
    restore.refresh_from_db()
    assert (restore.state, restore.entries_restored, stored_count(tenant)) == (RestoreState.RUNNING, 21, COUNT - ARCHIVED + 21)
    # As if it had died between the entries' commit and its own note of them.
    Restore.objects.filter(pk=restore.pk).update(reached=None, entries_restored=14)
    tasks.tend_restores()
    restore.refresh_from_db()
    assert (restore.state, stored_count(tenant), restore.attempts) == (RestoreState.DONE, COUNT, 2)
    carry_on(restore.pk)
    assert stored_count(tenant) == COUNT


def test_archive_that_is_away_is_tried_again_and_given_up_in_the_end(tenant: Tenant) -> None:
    restore = asked(tenant)
    path = file_of(tenant.segments.get())
    hidden = path.rename(path.with_suffix(".hidden"))
    carry_on(restore.pk)
    restore.refresh_from_db()
    assert restore.state == RestoreState.QUEUED
    assert "can't be read" in restore.error
    for _ in range(restoring.MAX_ATTEMPTS):
        carry_on(restore.pk)
    restore.refresh_from_db()
    assert (restore.state, restore.attempts) == (RestoreState.FAILED, restoring.MAX_ATTEMPTS)
    hidden.rename(path)
    assert stored_count(tenant) == COUNT - ARCHIVED


def test_one_process_works_on_a_restore_at_a_time(tenant: Tenant) -> None:
    restore = asked(tenant)
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [RESTORE, restore.pk % 2**31])
        carry_on(restore.pk)
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [RESTORE, restore.pk % 2**31])
    restore.refresh_from_db()
    assert (restore.state, restore.attempts, stored_count(tenant)) == (RestoreState.QUEUED, 0, COUNT - ARCHIVED)


def test_what_is_kept_and_until_when(tenant: Tenant) -> None:
    wanted = NewRestore(START, START + 2 * DAY, 3, REASON)
    restore = ask_restore(Actor(tenant.id, "alice", "user:alice"), wanted, NOW)

    def kept(day: int, now: datetime.datetime = NOW, of: uuid.UUID = tenant.id) -> bool:
        return is_kept(Partition("p", START + day * DAY, START + (day + 1) * DAY), of, now)

    assert [kept(day) for day in (-1, 0, 1, 2)] == [False, True, True, False]
    assert kept(0, NOW + 3 * DAY - datetime.timedelta(seconds=1))
    assert not kept(0, NOW + 3 * DAY)
    assert not kept(0, of=new_tenant().id)
    end_restore(tenant.id, restore.pk)
    assert not kept(0)


def test_days_count_from_when_all_are_back(tenant: Tenant) -> None:
    restore = asked(tenant, days=2)
    Restore.objects.filter(pk=restore.pk).update(kept_until=NOW)
    carry_on(restore.pk)
    restore.refresh_from_db()
    assert restore.finished_at is not None
    assert restore.kept_until == restore.finished_at + 2 * DAY


def test_restore_over_http_is_asked_watched_and_ended(tenant: Tenant, admin: Api) -> None:
    answer = admin.post(RESTORES, GIVEN | {"query": "user:u1"})
    assert answer.status_code == 202, answer.content
    made = answer.json()
    assert (answer["Location"], made["state"], made["asked_by"][:5]) == (f"{RESTORES}/{made['id']}", "queued", "user:")
    carry_on(made["id"])
    done = admin.get(answer["Location"]).json()
    assert (done["state"], done["entries_restored"], done["restored_to"][:10]) == ("done", 10, "2025-07-19")
    assert [one["id"] for one in admin.get(RESTORES).json()["results"]] == [made["id"]]
    ended = admin.send("DELETE", answer["Location"])
    assert (ended.status_code, ended.json()["state"]) == (200, "ended")
    told = admin.get(LOGS, resource_id=f"restore-{made['id']}", action="RESTORE").json()["results"]
    assert [one["metadata"]["phase"] for one in told] == ["ended", "asked"]
    assert {one["user_id"] for one in told} == {"alice"}
    assert told[1]["metadata"]["reason"] == REASON


@pytest.mark.parametrize(
    ("changed", "pointer", "fault"),
    [
        ({"to": "2025-07-01T00:00:00Z"}, "/to", "bad_range"),
        ({"from": "1960-01-01T00:00:00Z"}, "/from", "bad_range"),
        ({"query": "user:"}, "/query", None),
        ({"days": 0}, "/days", None),
        ({"days": 367}, "/days", None),
        ({"reason": "short"}, "/reason", None),
        ({"from": "2025-07-01T00:00:00"}, "/from", None),
        ({"until": 1}, "", "unknown_field"),
    ],
)
def test_wrong_restore_is_refused(admin: Api, tenant: Tenant, changed: dict[str, Any], pointer: str, fault: str | None) -> None:
    problem = assert_refused(admin.post(RESTORES, GIVEN | changed), 422, "invalid", fault=fault)
    assert problem["errors"][0]["pointer"].startswith(pointer)
    assert not Restore.objects.filter(tenant=tenant).exists()


def test_restores_of_another_tenant_are_not_seen(tenant: Tenant) -> None:
    restore = asked(tenant)
    mallory = Api(new_token(new_tenant(), Role.ADMIN, "mallory"))
    assert mallory.get(RESTORES).json()["results"] == []
    for method in ("GET", "DELETE"):
        assert_refused(mallory.send(method, f"{RESTORES}/{restore.pk}"), 404, "not_found")
    restore.refresh_from_db()
    assert restore.state == RestoreState.QUEUED


def test_command_restores_and_says_until_when(tenant: Tenant, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--tenant", tenant.slug, "--from", "2025-07-01", "--to", "2025-07-06", "--days", "5", "--reason", REASON]
    call_command("restore_archive", *given)
    assert "10 entries are back until" in capsys.readouterr().out
    assert stored_count(tenant) == COUNT - ARCHIVED + 10
    restore = Restore.objects.get(tenant=tenant)
    call_command("restore_archive", "--continue", str(restore.pk))
    assert stored_count(tenant) == COUNT - ARCHIVED + 10
    end_restore(tenant.id, restore.pk)
    for wrong in (["--continue", "999999999"], ["--continue", str(restore.pk)], ["--tenant", "none", *given[2:]], given[:4], [*given[:-1], "short"]):
        with pytest.raises(CommandError):
            call_command("restore_archive", *wrong)


def test_restore_is_checked_before_it_is_on_record(tenant: Tenant) -> None:
    for wanted in (
        NewRestore(START, START, 3, REASON),
        NewRestore(START, START + DAY, 0, REASON),
        NewRestore(START, START + DAY, 3, "x" * 2001),
        NewRestore(START, START + DAY, 3, REASON, "("),
    ):
        with pytest.raises(Invalid):
            ask_restore(Actor(tenant.id, "alice", "user:alice"), wanted, NOW)


def test_restore_is_asked_for_and_ended_in_the_admin(tenant: Tenant, admin: Api) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser(f"root{uuid.uuid4().hex[:8]}", password=uuid.uuid4().hex))
    path = "/admin/archival/restore/"
    form = {"tenant": tenant.pk, "from_at_0": "2025-07-01", "from_at_1": "00:00:00", "until_at_0": "2025-07-06", "until_at_1": "00:00:00", "days": 5}
    for wrong in ({"reason": "short"}, {"reason": REASON, "until_at_0": "2025-06-01"}, {"reason": REASON, "query": "user:"}):
        assert client.post(f"{path}add/", form | wrong).status_code == 200
    assert not Restore.objects.filter(tenant=tenant).exists()
    assert client.post(f"{path}add/", form | {"reason": REASON}).status_code == 302
    restore = Restore.objects.get(tenant=tenant)
    assert client.get(f"{path}{restore.pk}/change/").status_code == 200
    assert client.post(f"{path}{restore.pk}/delete/", {"post": "yes"}).status_code == 403
    carry_on(restore.pk)
    assert client.post(path, {"action": "end", "_selected_action": [restore.pk]}).status_code == 302
    restore.refresh_from_db()
    assert (restore.state, restore.entries_restored, restore.reason) == (RestoreState.ENDED, 10, REASON)
    told = admin.get(LOGS, resource_id=f"restore-{restore.pk}").json()["results"]
    assert [one["action"] for one in told] == ["END_RESTORE", "RESTORE", "RESTORE"]
