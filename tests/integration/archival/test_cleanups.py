"""Clean-ups: counted first, then purged by a job, and never more than was confirmed or than may go."""

from __future__ import annotations

import datetime
import time
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import OperationalError
from django.utils import timezone

from accounts.models import Membership, Role, Tenant, User
from accounts.tokens import start_family
from archival.cleanups import jobs, running, tasks
from archival.cleanups import purger as purgers
from archival.models import Cleanup, LegalHold
from archival.retention.finding import see_to_default
from logs.storage import partitions
from tests.access import granted_token, new_grant
from tests.api import LOGS, Api, PostedApi, assert_refused, service_of, stored_count
from tests.purging import RowPurger
from tests.storing import new_key, new_tenant, new_token, store

CLEANUP = f"{LOGS}/cleanup"
CLEANUPS = "/api/v1/cleanups"
POLICIES = "/api/v1/retention-policies"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
MONTH_AGO = (NOW - 30 * DAY).isoformat()


def aged(days: int, **fields: Any) -> dict[str, Any]:
    return {"timestamp": (NOW - days * DAY).isoformat()} | fields


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


@pytest.fixture(autouse=True)
def purger(monkeypatch: pytest.MonkeyPatch) -> RowPurger:
    found = RowPurger()
    monkeypatch.setattr(purgers, "_purger", found)
    partitions.prepare(NOW)
    return found


@pytest.fixture
def entries(tenant: Tenant) -> list[str]:
    return store(tenant, [aged(60), aged(60, resource_type="note"), aged(40, user_id="carol"), aged(10), aged(10, resource_type="note")])


def delete(api: Api, **query: Any) -> Any:
    """DELETE with parameters."""
    return api.send("DELETE", f"{CLEANUP}?{urlencode(query, doseq=True)}" if query else CLEANUP)


def dry_run(api: Api, **query: Any) -> dict[str, Any]:
    answer = delete(api, **query)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def clean_up(api: Api, **query: Any) -> dict[str, Any]:
    """Dry run, real run, and the job carried out. Answers the job."""
    confirmation = dry_run(api, **query)["confirmation"]
    answer = delete(api, **query, dry_run="false", confirmation=confirmation)
    assert answer.status_code == 202, answer.content
    assert (answer["Location"], answer.json()["state"]) == (f"{CLEANUPS}/{answer.json()['id']}", "queued")
    running.run(uuid.UUID(answer.json()["id"]))
    found: dict[str, Any] = api.get(answer["Location"]).json()
    return found


def left(tenant: Tenant) -> set[str]:
    return {entry["id"] for entry in PostedApi(new_key(tenant)).get(LOGS).json()["results"]}


def test_dry_run_is_the_default_and_purges_nothing(tenant: Tenant, admin: Api, entries: list[str]) -> None:
    found = dry_run(admin, before=MONTH_AGO)
    assert (found["would_purge"], found["held"], found["locked"], found["counted"]) == (3, 0, 0, "database")
    assert (left(tenant), Cleanup.objects.filter(tenant=tenant).exists()) == (set(entries), False)


@pytest.mark.parametrize(
    ("query", "purged"),
    [
        ({"before": MONTH_AGO}, {0, 1, 2}),
        ({"before": MONTH_AGO, "resource_type": "note"}, {1}),
        ({"q": "user:carol"}, {2}),
        ({"q": "after:-50d -resource_type:note"}, {2, 3}),
        ({"resource_type": ["note", "invoice"], "to": (NOW - 50 * DAY).isoformat()}, {0, 1}),
        ({"before": MONTH_AGO, "user_id": "nobody"}, set()),
    ],
)
def test_what_was_confirmed_is_purged_and_nothing_else(tenant: Tenant, admin: Api, entries: list[str], query: dict[str, Any], purged: set[int]) -> None:
    job = clean_up(admin, **query)
    assert (job["state"], job["entries_purged"], job["entries_expected"]) == ("done", len(purged), len(purged))
    assert job["partitions_done"] == job["partitions_total"] > 0
    assert left(tenant) == {id for place, id in enumerate(entries) if place not in purged}


def test_clean_up_of_a_policy_takes_what_it_decides_and_is_over(tenant: Tenant, admin: Api, entries: list[str]) -> None:
    policy = admin.post(POLICIES, {"name": "Notes", "resource_types": ["note"], "hot_days": 30, "cold_days": 10}).json()
    other = admin.post(POLICIES, {"name": "Carol's", "actions": ["NONE"], "hot_days": 30, "precedence": 1}).json()
    assert_refused(delete(admin, policy=other["id"]), 422, "invalid_query", fault="keeps_for_ever")
    assert dry_run(admin, policy=policy["id"], before=NOW.isoformat())["would_purge"] == 2
    assert clean_up(admin, policy=policy["id"])["entries_purged"] == 1
    assert left(tenant) == set(entries) - {entries[1]}


def test_neither_held_nor_locked_entries_go(tenant: Tenant, admin: Api, entries: list[str]) -> None:
    admin.post("/api/v1/legal-holds", {"holds": "query", "query": "user:carol", "reason": "Case 4711: a tax audit."})
    admin.post(POLICIES, {"name": "Notes", "resource_types": ["note"], "hot_days": 30, "cold_days": 20, "is_locked": True})
    found = dry_run(admin, before=NOW.isoformat())
    assert (found["would_purge"], found["held"], found["locked"]) == (3, 1, 1)
    assert clean_up(admin, before=NOW.isoformat())["entries_purged"] == 3
    assert left(tenant) == {entries[2], entries[4]}


def test_hold_that_is_placed_after_the_confirmation_still_holds(tenant: Tenant, admin: Api, entries: list[str]) -> None:
    confirmation = dry_run(admin, before=MONTH_AGO)["confirmation"]
    id = delete(admin, before=MONTH_AGO, dry_run="false", confirmation=confirmation).json()["id"]
    LegalHold.objects.create(tenant=tenant, holds="query", query="user:carol", reason="a case", placed_by="x")
    running.run(uuid.UUID(id))
    assert left(tenant) == set(entries[2:])


def test_own_entries_of_the_log_are_never_cleaned_up(tenant: Tenant, admin: Api, entries: list[str]) -> None:
    admin.get(LOGS)
    clean_up(admin, before=timezone.now().isoformat())
    assert left(tenant) == set()
    assert admin.get(LOGS, action="SEARCH").json()["results"] != []


def test_what_comes_in_after_the_dry_run_stays(tenant: Tenant, admin: Api) -> None:
    """Without `before` the clean-up ends at the moment of its dry run."""
    old = store(tenant, [aged(0)])
    confirmation = dry_run(admin, resource_type="invoice")["confirmation"]
    new = store(tenant, [{}])
    answer = delete(admin, resource_type="invoice", dry_run="false", confirmation=confirmation)
    running.run(uuid.UUID(answer.json()["id"]))
    assert left(tenant) == set(new) != set(old)


def test_more_than_was_confirmed_is_not_purged(tenant: Tenant, admin: Api, entries: list[str]) -> None:
    confirmation = dry_run(admin, before=MONTH_AGO)["confirmation"]
    store(tenant, [aged(60)])
    problem = assert_refused(delete(admin, before=MONTH_AGO, dry_run="false", confirmation=confirmation), 409, "more_than_confirmed")
    assert (problem["confirmed"], problem["would_purge"]) == (3, 4)
    assert (stored_count(tenant), Cleanup.objects.filter(tenant=tenant).exists()) == (6, False)


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ({}, "missing_parameter"),
        ({"dry_run": "true"}, "missing_parameter"),
        ({"before": (NOW + DAY).isoformat()}, "in_the_future"),
        ({"before": "yesterday"}, "bad_timestamp"),
        ({"before": MONTH_AGO, "dry_run": "no"}, "bad_value"),
        ({"before": MONTH_AGO, "dry_run": "false"}, "missing_parameter"),
        ({"before": MONTH_AGO, "dry_run": "false", "confirmation": "x"}, "wrong_confirmation"),
        ({"policy": "0"}, "unknown_policy"),
        ({"policy": "-1"}, "bad_number"),
        ({"q": "("}, "unexpected"),
        ({"befor": MONTH_AGO}, "unknown_parameter"),
    ],
)
def test_clean_up_that_makes_no_sense_is_refused(tenant: Tenant, admin: Api, entries: list[str], query: dict[str, str], fault: str) -> None:
    assert_refused(delete(admin, **query), 422, "invalid_query", fault=fault)
    assert left(tenant) == set(entries)


def test_confirmation_is_of_one_question_one_person_and_ten_minutes(tenant: Tenant, admin: Api, entries: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    confirmation = dry_run(admin, before=MONTH_AGO, resource_type="note")["confirmation"]
    run = {"dry_run": "false", "confirmation": confirmation}
    other = Api(new_token(tenant, Role.ADMIN))
    for answer in (
        delete(admin, before=MONTH_AGO, **run),
        delete(admin, before=NOW.isoformat(), resource_type="note", **run),
        delete(other, before=MONTH_AGO, resource_type="note", **run),
        delete(Api(new_token(new_tenant(), Role.ADMIN)), before=MONTH_AGO, resource_type="note", **run),
    ):
        assert_refused(answer, 422, "invalid_query", fault="wrong_confirmation")
    later = time.time() + 601
    with monkeypatch.context() as patched:
        patched.setattr("django.core.signing.time.time", lambda: later)
        assert_refused(delete(admin, before=MONTH_AGO, resource_type="note", **run), 422, "invalid_query", fault="confirmation_expired")
    assert left(tenant) == set(entries)
    assert delete(admin, before=MONTH_AGO, resource_type="note", **run).status_code == 202


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.USER])
def test_others_than_admins_clean_nothing_up(tenant: Tenant, entries: list[str], role: Role) -> None:
    other = Api(new_token(tenant, role))
    for answer in (delete(other, before=MONTH_AGO), delete(service_of(tenant), before=MONTH_AGO), other.get(CLEANUPS)):
        assert_refused(answer, 403, "not_allowed")
    assert left(tenant) == set(entries)


def test_admin_who_sees_a_part_of_the_log_cleans_nothing_up(tenant: Tenant, entries: list[str]) -> None:
    grant = new_grant(tenant, resource_types=["note"], may_manage_retention=True)
    assert_refused(delete(Api(granted_token(tenant, Role.ADMIN, grant)), before=MONTH_AGO), 403, "not_allowed")


def test_asker_who_is_no_admin_any_more_purges_nothing(tenant: Tenant, entries: list[str]) -> None:
    user = User.objects.create_user(f"u{uuid.uuid4().hex[:12]}")
    member = Membership.objects.create(user=user, tenant=tenant, role=Role.ADMIN)
    admin = Api(start_family(user).access)
    confirmation = dry_run(admin, before=MONTH_AGO)["confirmation"]
    id = delete(admin, before=MONTH_AGO, dry_run="false", confirmation=confirmation).json()["id"]
    Membership.objects.filter(pk=member.pk).update(role=Role.AUDITOR)
    running.run(uuid.UUID(id))
    cleanup = Cleanup.objects.get(pk=id)
    assert (cleanup.state, "may not" in cleanup.error, left(tenant)) == ("failed", True, set(entries))


def test_clean_up_goes_on_where_the_storage_was_away(tenant: Tenant, admin: Api, entries: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purgers, "_purger", RowPurger(OSError("the storage is away"), OperationalError("so is the database")))
    confirmation = dry_run(admin, before=MONTH_AGO)["confirmation"]
    id = delete(admin, before=MONTH_AGO, dry_run="false", confirmation=confirmation).json()["id"]
    for attempt in (1, 2):
        tasks.run_cleanup(id)
        job = admin.get(f"{CLEANUPS}/{id}").json()
        assert (job["state"], "tried again" in job["error"], Cleanup.objects.get(pk=id).attempts) == ("queued", True, attempt)
        # Not at once.
        assert uuid.UUID(id) not in jobs.due()
        Cleanup.objects.filter(pk=id).update(heartbeat_at=timezone.now() - datetime.timedelta(minutes=1))
        assert uuid.UUID(id) in jobs.due()
    tasks.run_cleanup(id)
    assert admin.get(f"{CLEANUPS}/{id}").json()["state"] == "done"
    assert left(tenant) == set(entries[3:])


def test_clean_up_whose_worker_died_is_taken_over(tenant: Tenant, admin: Api, entries: list[str]) -> None:
    confirmation = dry_run(admin, before=MONTH_AGO)["confirmation"]
    id = delete(admin, before=MONTH_AGO, dry_run="false", confirmation=confirmation).json()["id"]
    row = Cleanup.objects.filter(pk=id)
    row.update(state="running", attempts=1, heartbeat_at=timezone.now())
    tasks.tend_cleanups()
    assert row.get().state == "running"
    row.update(heartbeat_at=timezone.now() - datetime.timedelta(minutes=6))
    tasks.tend_cleanups()
    assert (row.get().state, left(tenant)) == ("done", set(entries[3:]))


def test_clean_up_that_no_worker_survives_is_given_up(tenant: Tenant, admin: Api, entries: list[str]) -> None:
    confirmation = dry_run(admin, before=MONTH_AGO)["confirmation"]
    id = delete(admin, before=MONTH_AGO, dry_run="false", confirmation=confirmation).json()["id"]
    Cleanup.objects.filter(pk=id).update(state="running", attempts=5, heartbeat_at=timezone.now() - datetime.timedelta(minutes=6))
    tasks.run_cleanup(id)
    assert (admin.get(f"{CLEANUPS}/{id}").json()["state"], left(tenant)) == ("failed", set(entries))


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ufffd", "%", "'"])
@pytest.mark.parametrize("name", ["q", "user_id", "before", "policy", "confirmation", "resource_type"])
def test_odd_text_in_parameters_never_breaks_the_server(tenant: Tenant, admin: Api, name: str, text: str) -> None:
    for query in ({name: text}, {"before": MONTH_AGO, "dry_run": "false", name: text}):
        assert delete(admin, **query).status_code in (200, 422)


def test_clean_up_is_recorded_from_the_dry_run_to_its_end(tenant: Tenant, admin: Api, entries: list[str]) -> None:
    job = clean_up(admin, before=MONTH_AGO)
    acts = [act["metadata"] for act in admin.get(LOGS, action="CLEAN_UP").json()["results"][::-1]]
    assert [(act.get("dry_run"), act.get("phase"), act.get("purged")) for act in acts] == [(True, None, None), (None, "asked", None), (None, "ended", 3)]
    assert [act["id"] for act in admin.get(CLEANUPS).json()["results"]] == [job["id"]]


def test_clean_up_under_dual_control_waits_for_a_second_admin(tenant: Tenant, admin: Api, entries: list[str]) -> None:
    bob = Api(new_token(tenant, Role.ADMIN))
    assert admin.send("PATCH", "/api/v1/dual-control", {"is_for_purges": True}).status_code == 200
    confirmation = dry_run(admin, before=MONTH_AGO)["confirmation"]
    answer = delete(admin, before=MONTH_AGO, dry_run="false", confirmation=confirmation)
    assert (answer.status_code, answer.json()["act"], Cleanup.objects.filter(tenant=tenant).exists()) == (202, "cleanup", False)
    assert bob.post(f"{answer['Location']}/confirm").status_code == 202
    cleanup = Cleanup.objects.get(tenant=tenant)
    assert bob.get(answer["Location"]).json()["outcome"] == f"cleanup-{cleanup.pk}"
    running.run(cleanup.pk)
    assert left(tenant) == set(entries[3:])


def test_without_anybody_who_purges_nothing_is_promised(tenant: Tenant, admin: Api, entries: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purgers, "_purger", None)
    confirmation = dry_run(admin, before=MONTH_AGO)["confirmation"]
    assert_refused(delete(admin, before=MONTH_AGO, dry_run="false", confirmation=confirmation), 503, "unavailable")
    assert not Cleanup.objects.filter(tenant=tenant).exists()


def test_mallory_sees_no_clean_up_of_another_tenant(tenant: Tenant, admin: Api, entries: list[str]) -> None:
    job = clean_up(admin, before=MONTH_AGO)
    see_to_default(tenant.id)
    mallory = Api(new_token(new_tenant(), Role.ADMIN))
    assert_refused(mallory.get(f"{CLEANUPS}/{job['id']}"), 404, "not_found")
    assert mallory.get(CLEANUPS).json()["results"] == []
    assert dry_run(mallory, before=NOW.isoformat())["would_purge"] == 0
