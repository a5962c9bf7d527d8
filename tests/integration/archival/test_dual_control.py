"""Dual control: what one person asks for is done when another has confirmed it and its time has come, and not otherwise."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from accounts import extensions
from accounts.models import Membership, Role, Tenant, User
from accounts.tokens import start_family
from archival.dual_control import carrying_out
from archival.dual_control.carrying_out import carry_out, carry_out_all
from archival.dual_control.tasks import tend_acts
from archival.models import ActState, LegalHold, PendingAct
from logs.models import Erasure
from logs.schedules import create_missing
from tests.access import granted_key, new_grant
from tests.api import LOGS, Api, assert_refused
from tests.storing import new_tenant, new_token, store

SETTINGS = "/api/v1/dual-control"
ACTS = "/api/v1/pending-acts"
HOLDS = "/api/v1/legal-holds"
ERASURES = "/api/v1/erasures"
POLICIES = "/api/v1/retention-policies"
REASON = "Case 4711 is closed."
EVERYTHING = {"is_for_purges": True, "is_for_erasures": True, "is_for_releases": True}
LATER = datetime.timedelta(hours=25)


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


def person(tenant: Tenant, role: Role = Role.ADMIN) -> tuple[User, Api]:
    user = User.objects.create_superuser(f"u{uuid.uuid4().hex[:12]}", password=uuid.uuid4().hex)
    Membership.objects.create(user=user, tenant=tenant, role=role)
    return user, Api(start_family(user).access)


@pytest.fixture
def alice(tenant: Tenant) -> Api:
    return person(tenant)[1]


@pytest.fixture
def bobs(tenant: Tenant) -> tuple[User, Api]:
    return person(tenant)


@pytest.fixture
def bob(bobs: tuple[User, Api]) -> Api:
    return bobs[1]


@pytest.fixture
def controlled(alice: Api, bob: Api) -> None:
    answer = alice.send("PATCH", SETTINGS, EVERYTHING)
    assert answer.status_code == 200, answer.content


def ask_release(api: Api, tenant: Tenant) -> tuple[LegalHold, Any]:
    hold = LegalHold.objects.create(tenant=tenant, holds="tenant", reason="a case", placed_by="x")
    return hold, api.post(f"{HOLDS}/{hold.pk}/release", {"reason": REASON})


def act_of(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 202, answer.content
    found: dict[str, Any] = answer.json()
    assert answer["Location"] == f"{ACTS}/{found['id']}"
    return found


def confirm(api: Api, act: dict[str, Any]) -> Any:
    return api.post(f"{ACTS}/{act['id']}/confirm")


def state_of(api: Api, act: dict[str, Any]) -> tuple[str, str | None]:
    found = api.get(f"{ACTS}/{act['id']}").json()
    return found["state"], found.get("outcome")


def steps(api: Api, act: dict[str, Any]) -> list[tuple[str, str]]:
    """The entries about an act, oldest first."""
    found = api.get(LOGS, resource_type="audit_log_pending_act", resource_id=str(act["id"])).json()["results"][::-1]
    return [(one["action"], one["outcome"]) for one in found if one["action"] not in ("READ", "REFUSED")]


def is_held(hold: LegalHold) -> bool:
    hold.refresh_from_db()
    return hold.is_active


@pytest.mark.usefixtures("controlled")
def test_hold_is_released_when_a_second_admin_confirms(tenant: Tenant, alice: Api, bob: Api) -> None:
    hold, answer = ask_release(alice, tenant)
    act = act_of(answer)
    assert (act["act"], act["state"], act["reason"], is_held(hold)) == ("release", "asked", REASON, True)
    assert confirm(bob, act).status_code == 202
    assert (state_of(alice, act), is_held(hold)) == (("done", f"hold-{hold.pk}"), False)
    assert steps(alice, act) == [("ASK", "success"), ("CONFIRM", "success"), ("CARRY_OUT", "success")]
    [release] = alice.get(LOGS, action="RELEASE", resource_id=f"hold-{hold.pk}").json()["results"]
    assert (release["metadata"]["pending_act"], release["metadata"]["reason"]) == (act["id"], REASON)


@pytest.mark.usefixtures("controlled")
def test_nobody_confirms_what_they_asked_for_themselves(tenant: Tenant, alice: Api) -> None:
    hold, answer = ask_release(alice, tenant)
    assert "yourself" in assert_refused(confirm(alice, act_of(answer)), 403, "not_allowed")["detail"]
    assert (is_held(hold), state_of(alice, answer.json())[0]) == (True, "asked")


@pytest.mark.usefixtures("controlled")
def test_key_neither_asks_nor_confirms(tenant: Tenant, alice: Api) -> None:
    grant = new_grant(tenant, may_manage_retention=True, may_erase=True)
    key = Api(granted_key(tenant, grant))
    hold, answer = ask_release(key, tenant)
    assert_refused(answer, 403, "not_allowed")
    assert_refused(key.post(ERASURES, {"subject": "carol", "reason": "they asked for it", "confirm": "carol"}), 403, "not_allowed")
    _, asked = ask_release(alice, tenant)
    assert_refused(confirm(key, act_of(asked)), 403, "not_allowed")
    assert is_held(hold)
    assert not Erasure.objects.filter(tenant=tenant).exists()


@pytest.mark.usefixtures("controlled")
@pytest.mark.parametrize("role", [Role.AUDITOR, Role.USER])
def test_others_than_admins_neither_see_nor_confirm_nor_refuse(tenant: Tenant, alice: Api, role: Role) -> None:
    _, answer = ask_release(alice, tenant)
    act, other = act_of(answer), person(tenant, role)[1]
    path = f"{ACTS}/{act['id']}"
    for refused in (
        other.get(ACTS),
        other.get(path),
        confirm(other, act),
        other.post(f"{path}/refuse"),
        other.get(SETTINGS),
        other.send("PATCH", SETTINGS, {}),
    ):
        assert REASON not in str(assert_refused(refused, 403, "not_allowed"))
    assert state_of(alice, act)[0] == "asked"


@pytest.mark.usefixtures("controlled")
def test_mallory_does_not_reach_the_acts_of_another_tenant(tenant: Tenant, alice: Api) -> None:
    _, answer = ask_release(alice, tenant)
    act, mallory = act_of(answer), Api(new_token(new_tenant(), Role.ADMIN))
    for refused in (mallory.get(f"{ACTS}/{act['id']}"), confirm(mallory, act), mallory.post(f"{ACTS}/{act['id']}/refuse")):
        assert_refused(refused, 404, "not_found")
    assert mallory.get(ACTS).json()["results"] == []


@pytest.mark.usefixtures("controlled")
def test_waiting_time_begins_with_the_confirmation(tenant: Tenant, alice: Api, bob: Api) -> None:
    assert alice.send("PATCH", SETTINGS, {"waiting_hours": 24}).status_code == 200
    hold, answer = ask_release(alice, tenant)
    act = act_of(answer)
    now = timezone.now()
    not_before = datetime.datetime.fromisoformat(confirm(bob, act).json()["not_before"])
    assert abs(not_before - now - datetime.timedelta(hours=24)) < datetime.timedelta(minutes=1)
    carry_out_all(not_before - datetime.timedelta(seconds=1))
    assert (is_held(hold), state_of(alice, act)[0]) == (True, "confirmed")
    carry_out_all(not_before)
    assert (is_held(hold), state_of(alice, act)[0]) == (False, "done")
    # Once.
    carry_out(act["id"], not_before)
    assert steps(alice, act).count(("CARRY_OUT", "success")) == 1


@pytest.mark.usefixtures("controlled")
def test_confirmed_act_is_refused_until_its_time_has_come(tenant: Tenant, alice: Api, bob: Api) -> None:
    alice.send("PATCH", SETTINGS, {"waiting_hours": 24})
    hold, answer = ask_release(alice, tenant)
    act = act_of(answer)
    confirm(bob, act)
    assert alice.post(f"{ACTS}/{act['id']}/refuse").json()["state"] == "refused"
    carry_out_all(timezone.now() + LATER)
    assert (is_held(hold), state_of(bob, act)[0]) == (True, "refused")
    assert_refused(confirm(bob, act), 409, "act_over")
    assert_refused(bob.post(f"{ACTS}/{act['id']}/refuse"), 409, "act_over")


@pytest.mark.usefixtures("controlled")
def test_act_that_nobody_confirms_in_time_expires(tenant: Tenant, alice: Api, bob: Api) -> None:
    hold, answer = ask_release(alice, tenant)
    act = act_of(answer)
    PendingAct.objects.filter(pk=act["id"]).update(expires_at=timezone.now())
    assert_refused(confirm(bob, act), 409, "act_over")
    tend_acts()
    assert (is_held(hold), state_of(alice, act)[0]) == (True, "expired")
    assert steps(alice, act)[-1] == ("EXPIRE", "success")


@pytest.mark.usefixtures("controlled")
@pytest.mark.parametrize("who", ["asker", "second"])
def test_act_fails_when_either_person_has_lost_their_right(tenant: Tenant, alice: Api, bob: Api, who: str) -> None:
    alice.send("PATCH", SETTINGS, {"waiting_hours": 24})
    hold, answer = ask_release(alice, tenant)
    act = act_of(answer)
    confirm(bob, act)
    row = PendingAct.objects.get(pk=act["id"])
    user_pk = row.asked_by_user_id if who == "asker" else row.decided_by_user_id
    assert user_pk is not None
    Membership.objects.filter(tenant=tenant, user_id=user_pk).update(role=Role.AUDITOR)
    carry_out_all(timezone.now() + LATER)
    row.refresh_from_db()
    assert (row.state, is_held(hold)) == (ActState.FAILED, True)
    assert "may not" in row.outcome


@pytest.mark.usefixtures("controlled")
def test_erasure_waits_and_then_erases(tenant: Tenant, alice: Api, bob: Api) -> None:
    store(tenant, [{"user_id": "carol", "after": {"iban": "planted"}}])
    answer = alice.post(ERASURES, {"subject": "carol", "reason": "they asked for it", "confirm": "carol"})
    assert (answer.status_code, Erasure.objects.filter(tenant=tenant).exists()) == (202, False)
    act = {"id": answer.json()["pending_act"]}
    assert answer["Location"] == f"{ACTS}/{act['id']}"
    assert bob.get(answer["Location"]).json()["what"] == {"subject": "carol"}
    confirm(bob, act)
    erasure = Erasure.objects.get(tenant=tenant)
    assert (erasure.state, erasure.asked_by, len(erasure.key_ids)) == ("done", bob.get(answer["Location"]).json()["asked_by"], 1)
    assert state_of(alice, act) == ("done", str(erasure.id))
    # Whom it was about is told by the erasure alone, and the log never names them for it.
    assert alice.get(f"{ACTS}/{act['id']}").json()["what"] == {}
    told = alice.get(LOGS, resource_type="audit_log_pending_act", limit=100).json()["results"]
    assert "carol" not in str([one["metadata"] for one in told])


@pytest.mark.usefixtures("controlled")
def test_erasure_that_a_hold_forbids_fails_with_the_reason(tenant: Tenant, alice: Api, bob: Api) -> None:
    act = {"id": alice.post(ERASURES, {"subject": "carol", "reason": "they asked for it", "confirm": "carol"}).json()["pending_act"]}
    alice.post(HOLDS, {"holds": "subject", "subject": "carol", "reason": "Case 4711: a tax audit."})
    confirm(bob, act)
    state, outcome = state_of(alice, act)
    assert (state, "hold" in str(outcome)) == ("failed", True)
    assert steps(alice, act)[-1] == ("CARRY_OUT", "failure")


class Died(BaseException):
    """What a process dies of in the middle."""


@pytest.mark.usefixtures("controlled")
def test_act_whose_process_dies_before_its_end_is_carried_out_by_the_next_run(tenant: Tenant, alice: Api, bob: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    alice.send("PATCH", SETTINGS, {"waiting_hours": 24})
    store(tenant, [{"user_id": "carol", "after": {"iban": "planted"}}])
    erasing = {"id": alice.post(ERASURES, {"subject": "carol", "reason": "they asked for it", "confirm": "carol"}).json()["pending_act"]}
    hold, answer = ask_release(alice, tenant)
    LegalHold.objects.filter(pk=hold.pk).update(holds="subject", subject="dave")
    releasing, later = act_of(answer), timezone.now() + LATER
    for act in (erasing, releasing):
        confirm(bob, act)

    def die(*_: Any) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(carrying_out, "finish", die)
        for act in (erasing, releasing):
            with pytest.raises(Died):
                carry_out(act["id"], later)
    # The release is undone with its end; the erasure, which had begun, is done.
    assert (is_held(hold), state_of(alice, releasing)[0], state_of(alice, erasing)[0]) == (True, "confirmed", "confirmed")
    carry_out_all(later)
    assert (is_held(hold), state_of(alice, releasing)[0], state_of(alice, erasing)[0]) == (False, "done", "done")
    assert [(one.state, len(one.key_ids)) for one in Erasure.objects.filter(tenant=tenant).order_by("id")] == [("done", 1), ("done", 0)]


@pytest.mark.usefixtures("controlled")
def test_step_that_can_not_be_recorded_is_not_taken(tenant: Tenant, alice: Api, bob: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    hold, answer = ask_release(alice, tenant)
    act = act_of(answer)
    with monkeypatch.context() as patched:
        patched.setattr(extensions, "_recorder", None)
        assert_refused(ask_release(alice, tenant)[1], 503, "not_recorded")
        assert_refused(confirm(bob, act), 503, "not_recorded")
        assert_refused(alice.post(ERASURES, {"subject": "carol", "reason": "they asked for it", "confirm": "carol"}), 503, "not_recorded")
    assert [(one.pk, one.state) for one in PendingAct.objects.filter(tenant=tenant)] == [(act["id"], "asked")]
    assert is_held(hold)


@pytest.mark.usefixtures("controlled")
def test_policy_that_keeps_less_waits_and_one_that_keeps_more_does_not(tenant: Tenant, alice: Api, bob: Api) -> None:
    shorter = {"name": "Notes", "resource_types": ["note"], "hot_days": 7, "cold_days": 0}
    act = act_of(alice.post(POLICIES, shorter))
    assert [policy["name"] for policy in alice.get(POLICIES).json()["results"]] == ["Default"]
    confirm(bob, act)
    policies = alice.get(POLICIES).json()["results"]
    assert [policy["name"] for policy in policies] == ["Notes", "Default"]
    path = f"{POLICIES}/{policies[0]['id']}"
    assert state_of(alice, act) == ("done", f"policy-{policies[0]['id']}")
    assert alice.send("PATCH", path, {"cold_days": 30}).status_code == 200
    waiting = act_of(alice.send("PATCH", path, {"cold_days": 10}))
    # Another change comes first: what was asked for is not done to another policy than was confirmed.
    assert alice.send("PATCH", path, {"cold_days": 40}).status_code == 200
    confirm(bob, waiting)
    assert state_of(alice, waiting)[0] == "failed"
    assert alice.get(path).json()["cold_days"] == 40
    # It keeps more without it.
    assert alice.send("DELETE", path).status_code == 204


@pytest.mark.usefixtures("controlled")
@pytest.mark.parametrize("weaker", [{"is_for_purges": False}, {"is_for_purges": False, "is_for_erasures": False, "is_for_releases": False}])
def test_weakening_dual_control_is_itself_under_it(alice: Api, bob: Api, weaker: dict[str, bool]) -> None:
    assert alice.send("PATCH", SETTINGS, {"waiting_hours": 1}).status_code == 200
    act = act_of(alice.send("PATCH", SETTINGS, weaker))
    less_waiting = act_of(alice.send("PATCH", SETTINGS, {"waiting_hours": 0}))
    before = alice.get(SETTINGS).json()
    assert (before["is_for_purges"], before["waiting_hours"]) == (True, 1)
    confirm(bob, act)
    carry_out_all(timezone.now() + LATER)
    assert {name: alice.get(SETTINGS).json()[name] for name in weaker} == weaker
    bob.post(f"{ACTS}/{less_waiting['id']}/refuse")
    assert alice.get(SETTINGS).json()["waiting_hours"] == 1


def test_tenant_with_one_admin_can_not_bind_itself(tenant: Tenant, alice: Api) -> None:
    assert_refused(alice.send("PATCH", SETTINGS, {"is_for_purges": True}), 422, "invalid", fault="one_admin")
    assert alice.get(SETTINGS).json()["is_for_purges"] is False


def test_settings_change_by_their_etag(alice: Api, bob: Api) -> None:
    etag = alice.get(SETTINGS)["ETag"]
    assert alice.send("PATCH", SETTINGS, {"is_for_releases": True}).status_code == 200
    assert_refused(alice.send("PATCH", SETTINGS, {"is_for_purges": True}, If_Match=etag), 412, "changed_meanwhile")


def test_without_dual_control_nothing_waits(tenant: Tenant, alice: Api, bob: Api) -> None:
    hold, answer = ask_release(alice, tenant)
    assert (answer.status_code, is_held(hold), alice.get(ACTS).json()["results"]) == (200, False, [])


@pytest.mark.usefixtures("controlled")
def test_acts_are_listed_page_by_page(tenant: Tenant, alice: Api, bob: Api) -> None:
    ids = [act_of(ask_release(alice, tenant)[1])["id"] for _ in range(3)]
    page = alice.get(ACTS, limit=2).json()
    assert [act["id"] for act in page["results"]] == ids[:0:-1]
    assert [act["id"] for act in alice.get(page["next"]).json()["results"]] == ids[:1]
    bob.post(f"{ACTS}/{ids[0]}/refuse")
    assert [act["id"] for act in bob.get(ACTS, waiting="true").json()["results"]] == ids[:0:-1]


@pytest.mark.usefixtures("controlled")
def test_who_is_no_admin_sees_the_acts_that_they_asked_for(tenant: Tenant, alice: Api) -> None:
    grant = new_grant(tenant, may_manage_retention=True)
    user, carol = person(tenant, Role.AUDITOR)
    Membership.objects.filter(user=user).update(grant=grant)
    hers, _ = act_of(ask_release(carol, tenant)[1]), act_of(ask_release(alice, tenant)[1])
    assert [act["id"] for act in carol.get(ACTS).json()["results"]] == [hers["id"]]
    assert_refused(confirm(carol, hers), 403, "not_allowed")
    assert carol.post(f"{ACTS}/{hers['id']}/refuse").json()["state"] == "refused"


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.usefixtures("controlled")
def test_admin_pages_confirm_and_refuse_as_a_member(tenant: Tenant, alice: Api, bobs: tuple[User, Api]) -> None:
    hold, answer = ask_release(alice, tenant)
    act = act_of(answer)

    def press(client: Client, action: str) -> Any:
        return client.post("/admin/archival/pendingact/", {"action": action, "_selected_action": [str(act["id"])]}, follow=True)

    stranger = browser_of(User.objects.create_superuser(f"root{uuid.uuid4().hex[:8]}", password=uuid.uuid4().hex))
    assert "no member" in press(stranger, "confirm_acts").content.decode()
    asker = PendingAct.objects.get(pk=act["id"]).asked_by_user
    assert asker is not None
    assert "yourself" in press(browser_of(asker), "confirm_acts").content.decode()
    assert is_held(hold)
    press(browser_of(bobs[0]), "confirm_acts")
    assert (state_of(alice, act)[0], is_held(hold)) == ("done", False)
    assert ("CONFIRM", "success") in steps(alice, act)


@pytest.mark.usefixtures("controlled")
def test_admin_pages_do_nothing_alone_that_is_under_dual_control(tenant: Tenant, bobs: tuple[User, Api], alice: Api) -> None:
    hold = LegalHold.objects.create(tenant=tenant, holds="tenant", reason="a case", placed_by="x")
    browser = browser_of(bobs[0])
    page = browser.post(f"/admin/archival/legalhold/{hold.pk}/change/", {"release_reason": REASON}).content.decode()
    assert "under dual control" in page
    assert is_held(hold)
    default = alice.get(POLICIES).json()["results"][0]["id"]
    path = f"/admin/archival/retentionpolicy/{default}/change/"
    page = browser.post(path, {"name": "Default", "hot_days": "7", "cold_days": "0", "confirm": "Default"}).content.decode()
    assert "under dual control" in page
    assert alice.get(f"{POLICIES}/{default}").json()["hot_days"] == 90
    assert browser.post(f"/admin/archival/dualcontrol/{tenant.pk}/change/", {"is_for_purges": ""}).status_code == 403


def test_acts_are_tended_by_a_schedule_that_the_admin_sees() -> None:
    create_missing()
    assert PeriodicTask.objects.filter(task="archival.dual_control.tend_acts", enabled=True).count() == 1
    assert tend_acts.name == "archival.dual_control.tend_acts"
