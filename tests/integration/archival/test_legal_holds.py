"""Legal holds: placed and released by who may manage retention, and stronger than any erasure."""

from __future__ import annotations

import datetime
import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import Role, Tenant, User
from archival import holds
from archival.models import HeldThing, LegalHold
from logs import catalogue
from logs.models import Erasure, ErasureState, LogSettings
from logs.storage.locks import lock_erasures
from tests.api import LOGS, Api, assert_refused, entry, service_of
from tests.storing import new_tenant, new_token

HOLDS = "/api/v1/legal-holds"
ERASURES = "/api/v1/erasures"
REASON = "Case 4711: tax audit of 2026."
CLEAR = {"iban": "planted-iban-of-carol"}


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


@pytest.fixture
def carols(admin: Api) -> str:
    """The path of an entry of carol's with an encrypted field."""
    answer = admin.post(LOGS, entry(user_id="carol", after=CLEAR, resource_type="invoice"))
    return f"{LOGS}/{answer.json()['id']}"


def place(api: Api, holds: str = "tenant", **fields: Any) -> dict[str, Any]:
    answer = api.post(HOLDS, {"holds": holds, "reason": REASON} | fields)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    assert api.get(answer["Location"]).json() == found
    return found


def release(api: Api, id: int) -> dict[str, Any]:
    answer = api.post(f"{HOLDS}/{id}/release", {"reason": "The case is closed."})
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def erase(api: Api) -> Any:
    return api.post(ERASURES, {"subject": "carol", "reason": REASON, "confirm": "carol"})


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("tenant", {}),
        ("subject", {"subject": "carol"}),
        ("query", {"query": "resource_type:invoice after:-7d"}),
        ("query", {"query": "user:carol"}),
    ],
)
def test_hold_keeps_a_subject_until_it_is_released(tenant: Tenant, admin: Api, carols: str, kind: str, fields: dict[str, str]) -> None:
    hold = place(admin, kind, **fields)
    problem = assert_refused(erase(admin), 409, "held")
    assert f"hold {hold['id']}" in problem["detail"]
    assert "planted" not in str(problem)
    assert admin.get(carols).json()["after"] == CLEAR
    refused = admin.get(f"{ERASURES}/{problem['erasure']}").json()
    assert (refused["state"], refused["keys_destroyed"], refused["held_because"] in problem["detail"]) == ("held", 0, True)
    [act] = admin.get(LOGS, action="ERASE", resource_type="audit_log_erasure").json()["results"]
    assert (act["outcome"], act["metadata"]["erasure"]) == ("failure", problem["erasure"])
    release(admin, hold["id"])
    assert erase(admin).json()["state"] == "done"
    assert admin.get(carols).json()["after"] == {"encrypted": True, "erased": True}


@pytest.mark.parametrize(
    ("kind", "fields"), [("subject", {"subject": "dave"}), ("query", {"query": "resource_type:contract"}), ("query", {"query": "user:carol before:2020-01-01"})]
)
def test_hold_on_something_else_keeps_nobody(admin: Api, carols: str, kind: str, fields: dict[str, str]) -> None:
    place(admin, kind, **fields)
    assert erase(admin).status_code == 201
    assert admin.get(carols).json()["after"] != CLEAR


def test_hold_of_another_tenant_keeps_nobody(admin: Api, carols: str) -> None:
    place(Api(new_token(new_tenant(), Role.ADMIN)))
    assert erase(admin).status_code == 201


def test_query_that_takes_too_long_keeps_everybody(tenant: Tenant, admin: Api, carols: str, settings: Any) -> None:
    hold = place(admin, "query", query="resource_type:contract")
    settings.AUDITLOG_SEARCH_TIMEOUT_SECONDS = -1
    problem = assert_refused(erase(admin), 409, "held")
    assert "can't be told" in problem["detail"]
    settings.AUDITLOG_SEARCH_TIMEOUT_SECONDS = 10
    assert Erasure.objects.get(pk=problem["erasure"]).state == ErasureState.HELD
    assert admin.get(carols).json()["after"] == CLEAR
    release(admin, hold["id"])


@pytest.mark.parametrize("query", ["user:carol", "user:car*", "resource_type:invoice"])
def test_hold_on_a_user_holds_the_entries_with_their_pseudonym(tenant: Tenant, admin: Api, query: str) -> None:
    LogSettings.objects.update_or_create(pk=tenant.id, defaults={"pseudonymises_users": True})
    catalogue.forget()
    path = f"{LOGS}/{admin.post(LOGS, entry(user_id='carol', after=CLEAR, resource_type='invoice')).json()['id']}"
    assert admin.get(path).json()["user_id"] != "carol"
    hold = place(admin, "query", query=query)
    assert_refused(erase(admin), 409, "held")
    assert admin.get(path).json()["after"] == CLEAR
    release(admin, hold["id"])
    assert erase(admin).json()["state"] == "done"
    assert admin.get(path).json()["after"] == {"encrypted": True, "erased": True}


def test_relative_times_of_a_hold_stand_still(tenant: Tenant, admin: Api, carols: str) -> None:
    hold = place(admin, "query", query="user:carol after:-1d")
    # Placed a year ago it held what was a day old then; the entry of today came later, and is held as well.
    LegalHold.objects.filter(pk=hold["id"]).update(placed_at=timezone.now() - datetime.timedelta(days=365))
    assert_refused(erase(admin), 409, "held")
    assert admin.get(carols).json()["after"] == CLEAR


def test_hold_whose_date_has_passed_is_due_and_holds_still(tenant: Tenant, admin: Api, carols: str) -> None:
    until = (timezone.now() + datetime.timedelta(days=1)).isoformat()
    hold = place(admin, until=until)
    assert hold["state"] == "active"
    LegalHold.objects.filter(pk=hold["id"]).update(until=timezone.now() - datetime.timedelta(seconds=1))
    place(admin, until=until)
    assert [found["id"] for found in admin.get(HOLDS, due="true").json()["results"]] == [hold["id"]]
    assert admin.get(f"{HOLDS}/{hold['id']}").json()["state"] == "due"
    assert_refused(erase(admin), 409, "held")
    released = release(admin, hold["id"])
    assert admin.get(HOLDS, due="true").json()["results"] == []
    assert (released["state"], released["release_reason"]) == ("released", "The case is closed.")


@pytest.mark.parametrize(
    ("trial", "entries"),
    [({"holds": "query", "query": "user:carol"}, 1), ({"holds": "subject", "subject": "carol"}, 1), ({"holds": "subject", "subject": "x"}, 0)],
)
def test_preview_counts_what_a_hold_would_hold(tenant: Tenant, admin: Api, carols: str, trial: dict[str, str], entries: int) -> None:
    found = admin.post(f"{HOLDS}/preview", trial).json()
    assert (found["entries"], found["of"] >= 1) == (entries, True)
    assert admin.post(f"{HOLDS}/preview", {"holds": "tenant"}).json()["entries"] >= 1
    assert_refused(admin.post(f"{HOLDS}/preview", {"holds": "query", "query": "("}), 422, "invalid", pointer="/query")
    assert not LegalHold.objects.filter(tenant=tenant).exists()


def test_hold_is_released_once(admin: Api) -> None:
    hold = place(admin)
    first = release(admin, hold["id"])
    again = admin.post(f"{HOLDS}/{hold['id']}/release", {"reason": "Another reason, later."}).json()
    assert again == first
    assert [found["id"] for found in admin.get(HOLDS).json()["results"]] == [hold["id"]]
    assert admin.get(HOLDS, active="true").json()["results"] == []


def test_holds_are_listed_page_by_page(admin: Api) -> None:
    ids = [place(admin)["id"] for _ in range(3)]
    page = admin.get(HOLDS, limit=2, active="true").json()
    assert [hold["id"] for hold in page["results"]] == ids[:0:-1]
    rest = admin.get(page["next"]).json()
    assert ([hold["id"] for hold in rest["results"]], rest["next"]) == (ids[:1], None)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"holds": "everything"}, "/holds"),
        ({"holds": "query"}, "/query"),
        ({"holds": "subject"}, "/subject"),
        ({"holds": "tenant", "subject": "carol"}, "/subject"),
        ({"holds": "query", "query": "severity:NONE"}, "/query"),
        ({"holds": "query", "query": "("}, "/query"),
        ({"holds": "tenant", "until": "2020-01-01T00:00:00Z"}, "/until"),
        ({"holds": "tenant", "until": "2030-01-01"}, "/until"),
        ({"holds": "tenant", "reason": "short"}, "/reason"),
        ({"holds": "tenant", "placed_by": "user:somebody"}, "/placed_by"),
    ],
)
def test_hold_that_says_too_little_or_too_much_is_refused(tenant: Tenant, admin: Api, body: dict[str, Any], pointer: str) -> None:
    assert_refused(admin.post(HOLDS, {"reason": REASON} | body), 422, "invalid", pointer=pointer)
    assert not LegalHold.objects.filter(tenant=tenant).exists()


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.USER])
def test_others_than_admins_neither_see_nor_place_nor_release_holds(tenant: Tenant, admin: Api, role: Role) -> None:
    hold = place(admin)
    other = Api(new_token(tenant, role, "carol"))
    answers = [
        other.get(HOLDS),
        other.get(f"{HOLDS}/{hold['id']}"),
        other.post(HOLDS, {"holds": "tenant", "reason": REASON}),
        other.post(f"{HOLDS}/{hold['id']}/release", {"reason": "Not mine to say."}),
        service_of(tenant).get(HOLDS),
    ]
    for answer in answers:
        assert REASON not in str(assert_refused(answer, 403, "not_allowed"))
    assert [found["state"] for found in admin.get(HOLDS).json()["results"]] == ["active"]


def test_mallory_does_not_reach_the_holds_of_another_tenant(tenant: Tenant, admin: Api) -> None:
    hold = place(admin)
    mallory = Api(new_token(new_tenant(), Role.ADMIN))
    for answer in (mallory.get(f"{HOLDS}/{hold['id']}"), mallory.post(f"{HOLDS}/{hold['id']}/release", {"reason": "Not mine to say."})):
        assert REASON not in str(assert_refused(answer, 404, "not_found"))
    assert mallory.get(HOLDS).json()["results"] == []
    assert admin.get(f"{HOLDS}/{hold['id']}").json()["state"] == "active"


def test_placing_and_releasing_are_recorded(tenant: Tenant, admin: Api) -> None:
    hold = place(admin)
    release(admin, hold["id"])
    acts = admin.get(LOGS, resource_type="audit_log_retention").json()["results"][::-1]
    told = [(act["action"], act["resource_id"], act["metadata"].get("reason")) for act in acts if act["action"] != "READ"]
    name = f"hold-{hold['id']}"
    assert told == [("CREATE", name, REASON), ("RELEASE", name, "The case is closed.")]


def test_hold_is_not_placed_while_an_erasure_is_being_decided(tenant: Tenant) -> None:
    """Both take the tenant's lock: a hold that is placed later is seen by the next erasure, never by half of one."""
    placed = threading.Event()

    def place_one() -> None:
        holds.place_hold(tenant.id, "user:test", holds.NewHold(HeldThing.TENANT, REASON), timezone.now())
        placed.set()
        connection.close()

    thread = threading.Thread(target=place_one)
    with transaction.atomic():
        lock_erasures(tenant.id)
        thread.start()
        assert not placed.wait(0.5)
    assert placed.wait(30)
    thread.join()


def test_admin_site_places_and_releases_and_changes_nothing_else(tenant: Tenant, admin: Api, carols: str) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser(f"root-{tenant.slug}", password="x"))
    form = {"tenant": str(tenant.id), "holds": "subject", "subject": "carol", "query": "", "until_0": "", "until_1": ""}
    refused = client.post("/admin/archival/legalhold/add/", form | {"reason": "short"})
    assert (refused.status_code, LegalHold.objects.filter(tenant=tenant).count()) == (200, 0)
    refused = client.post("/admin/archival/legalhold/add/", form | {"reason": REASON, "subject": ""})
    assert (refused.status_code, LegalHold.objects.filter(tenant=tenant).count()) == (200, 0)
    assert client.post("/admin/archival/legalhold/add/", form | {"reason": REASON}).status_code == 302
    hold = LegalHold.objects.get(tenant=tenant)
    assert (hold.placed_by, hold.subject) == (f"user:root-{tenant.slug}", "carol")
    assert_refused(erase(admin), 409, "held")
    path = f"/admin/archival/legalhold/{hold.pk}/change/"
    assert client.get(path).status_code == 200
    assert client.post(path, {"release_reason": "The case is closed.", "subject": "dave", "reason": "Another reason."}).status_code == 302
    hold.refresh_from_db()
    assert (hold.subject, hold.reason, hold.released_by, hold.release_reason) == ("carol", REASON, f"user:root-{tenant.slug}", "The case is closed.")
    assert client.post(f"/admin/archival/legalhold/{hold.pk}/delete/", {"post": "yes"}).status_code == 403
    acts = admin.get(LOGS, resource_type="audit_log_retention").json()["results"]
    assert [act["action"] for act in acts][::-1] == ["CREATE", "RELEASE"]
    assert erase(admin).status_code == 201
