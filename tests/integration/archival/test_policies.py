"""Retention policies over the API and in the admin: previewed, confirmed where they purge much, and locked for good."""

from __future__ import annotations

import datetime
import html
import json
import threading
import uuid
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from accounts.models import Role, Tenant, User
from archival.models import HeldThing, LegalHold, RetentionPolicy
from archival.retention.counting import count_due
from archival.retention.finding import policies_of
from archival.retention.held import held_in
from archival.retention.planning import plan, plan_segment
from logs import catalogue
from logs.models import LogSettings
from logs.search.predicate import predicate_of
from logs.storage.engines import Partition
from logs.storage.locks import lock_retention
from tests.access import granted_token, new_grant
from tests.api import LOGS, Api, assert_refused, service_of
from tests.sequencing import sequence_all
from tests.storing import new_tenant, new_token, store

POLICIES = "/api/v1/retention-policies"
PREVIEW = f"{POLICIES}/preview"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
SHORT = {"name": "Notes", "resource_types": ["note"], "hot_days": 7, "cold_days": 0, "precedence": 10}


def aged(days: int, **fields: Any) -> dict[str, Any]:
    return {"timestamp": (NOW - days * DAY).isoformat()} | fields


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


def add(api: Api, **fields: Any) -> dict[str, Any]:
    answer = api.post(POLICIES, SHORT | fields)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    read = api.get(answer["Location"])
    assert (read.json(), read["ETag"]) == (found, answer["ETag"])
    return found


def acts_on(api: Api, policy: dict[str, Any]) -> list[str]:
    """What the log says was done to a policy, oldest first."""
    found = api.get(LOGS, resource_type="audit_log_retention", resource_id=f"policy-{policy['id']}").json()["results"][::-1]
    return [act["action"] for act in found if act["action"] != "READ"]


def names(api: Api) -> list[tuple[int, str]]:
    return [(policy["place"], policy["name"]) for policy in api.get(POLICIES).json()["results"]]


def test_tenant_that_has_said_nothing_keeps_ninety_days_hot_and_the_rest_for_ever(admin: Api) -> None:
    [policy] = admin.get(POLICIES).json()["results"]
    assert (policy["name"], policy["hot_days"], policy["cold_days"], policy["is_default"]) == ("Default", 90, None, True)


def test_policies_count_in_the_order_that_is_shown(admin: Api) -> None:
    first, second = add(admin), add(admin, name="Payments", resource_types=["payment"], precedence=5)
    assert names(admin) == [(1, "Payments"), (2, "Notes"), (3, "Default")]
    answer = admin.send("PUT", f"{POLICIES}/order", {"ids": [first["id"], second["id"]]})
    assert [policy["name"] for policy in answer.json()["results"]] == ["Notes", "Payments", "Default"]
    assert_refused(admin.send("PUT", f"{POLICIES}/order", {"ids": [first["id"]]}), 422, "invalid", pointer="/ids")
    assert names(admin) == [(1, "Notes"), (2, "Payments"), (3, "Default")]


def test_policy_is_changed_and_deleted_by_its_etag(admin: Api) -> None:
    policy = add(admin)
    path = f"{POLICIES}/{policy['id']}"
    etag = admin.get(path)["ETag"]
    changed = admin.send("PATCH", path, {"hot_days": 8}, If_Match=etag)
    assert (changed.status_code, changed.json()["hot_days"], changed.json()["cold_days"]) == (200, 8, 0)
    assert_refused(admin.send("PATCH", path, {"hot_days": 9}, If_Match=etag), 412, "changed_meanwhile")
    assert_refused(admin.send("DELETE", path, If_Match=etag), 412, "changed_meanwhile")
    assert admin.send("DELETE", path, If_Match=changed["ETag"]).status_code == 204
    assert_refused(admin.get(path), 404, "not_found")
    assert names(admin) == [(1, "Default")]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"name": " "}, "/name"),
        ({"name": "Default"}, "/name"),
        ({"hot_days": 0}, "/hot_days"),
        ({"hot_days": 36_501}, "/hot_days"),
        ({"cold_days": -1}, "/cold_days"),
        ({"actions": ["lower"]}, "/actions/0"),
        ({"severities": ["NONE"]}, "/severities/0"),
        ({"is_default": True}, "/is_default"),
        ({"resource_types": ["x"] * 101}, "/resource_types"),
    ],
)
def test_policy_that_makes_no_sense_is_refused(tenant: Tenant, admin: Api, fields: dict[str, Any], pointer: str) -> None:
    assert_refused(admin.post(POLICIES, SHORT | fields), 422, "invalid", pointer=pointer)
    assert not RetentionPolicy.objects.filter(tenant=tenant, is_default=False).exists()


def test_default_is_neither_deleted_nor_narrowed(admin: Api) -> None:
    path = f"{POLICIES}/{admin.get(POLICIES).json()['results'][0]['id']}"
    assert_refused(admin.send("DELETE", path), 422, "invalid", fault="default_policy")
    assert_refused(admin.send("PATCH", path, {"actions": ["READ"]}), 422, "invalid", fault="default_policy")
    assert admin.send("PATCH", path, {"hot_days": 30}).json()["hot_days"] == 30


def test_locked_policy_is_only_lengthened(admin: Api) -> None:
    policy = add(admin, hot_days=30, cold_days=100, is_locked=True)
    path = f"{POLICIES}/{policy['id']}"
    for body in ({"is_locked": False}, {"hot_days": 29}, {"cold_days": 99}, {"actions": ["READ"]}, {"resource_types": ["x"]}):
        assert_refused(admin.send("PATCH", path, body), 422, "invalid", fault="locked_policy")
    assert_refused(admin.send("DELETE", path), 422, "invalid", fault="locked_policy")
    overtaking = SHORT | {"name": "Quicker", "precedence": 1}
    assert_refused(admin.post(POLICIES, overtaking), 422, "invalid", fault="locked_policy_overtaken")
    assert admin.get(path).json() == policy
    assert admin.send("PATCH", path, {"cold_days": None}).json()["cold_days"] is None
    assert names(admin) == [(1, "Notes"), (2, "Default")]


def test_preview_counts_what_would_leave_and_changes_nothing(tenant: Tenant, admin: Api) -> None:
    store(tenant, [aged(100), aged(100, resource_type="note"), aged(20, resource_type="note"), aged(3, resource_type="note"), aged(20)])
    LegalHold.objects.create(tenant=tenant, holds=HeldThing.QUERY, query=f"resource_type:note before:{(NOW - 50 * DAY).date()}", reason="a case", placed_by="x")
    answer = admin.post(PREVIEW, {"add": SHORT}).json()
    own = answer["now"]["hot"] - 5
    assert (answer["now"]["archived"], answer["now"]["purged"], own >= 0) == (2, 0, True)
    # The held one is archived, though its policy purges at once.
    assert (answer["then"]["archived"], answer["then"]["purged"]) == (2, 1)
    by_policy = {one["name"]: (one["archived"], one["purged"]) for one in answer["then"]["by_policy"]}
    assert by_policy == {"Notes": (1, 1), "Default": (1, 0)}
    assert (answer["keeps_less"], answer["confirm"], answer["then"]["counted_from"]) == (True, "", "entries")
    assert names(admin) == [(1, "Default")]


def test_counting_that_takes_too_long_is_told_by_the_rollups(tenant: Tenant, admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    add(admin)
    store(tenant, [aged(100), aged(100, resource_type="note"), aged(20, resource_type="note")] * 1500)
    sequence_all()
    store(tenant, [aged(100)])
    exact = count_due(tenant.id, policies_of(tenant.id), (), NOW)
    # In so short a time nobody counts so many.
    monkeypatch.setattr("archival.retention.counting.COUNT_SECONDS", 0.001)
    told = count_due(tenant.id, policies_of(tenant.id), (), NOW)
    assert (exact.counted_from, told.counted_from) == ("entries", "rollups")
    assert (told.archived, told.purged) == (exact.archived, exact.purged) == (1501, 3000)


def test_policy_that_purges_most_of_the_log_is_asked_about_twice(tenant: Tenant, admin: Api) -> None:
    store(tenant, [aged(20)] * 30)
    path = f"{POLICIES}/{admin.get(POLICIES).json()['results'][0]['id']}"
    wanted = {"hot_days": 7, "cold_days": 0}
    assert admin.post(PREVIEW, {"change": wanted, "policy": int(path.rpartition("/")[2])}).json()["confirm"] == "Default"
    problem = assert_refused(admin.send("PATCH", path, wanted), 422, "confirmation_needed", pointer="/confirm")
    assert problem["would_purge"] == 30
    assert_refused(admin.send("PATCH", path, wanted | {"confirm": "default"}), 422, "confirmation_needed")
    assert admin.get(path).json()["hot_days"] == 90
    assert admin.send("PATCH", path, wanted | {"confirm": "Default"}).status_code == 200
    # Nothing more is to be said twice: it keeps longer.
    assert admin.send("PATCH", path, {"hot_days": 8}).status_code == 200


def test_first_end_of_everything_is_asked_about_twice(admin: Api) -> None:
    path = f"{POLICIES}/{admin.get(POLICIES).json()['results'][0]['id']}"
    assert_refused(admin.send("PATCH", path, {"cold_days": 2555}), 422, "confirmation_needed")
    assert admin.send("PATCH", path, {"cold_days": 2555, "confirm": "Default"}).status_code == 200
    assert admin.send("PATCH", path, {"cold_days": 3650}).status_code == 200


@pytest.mark.parametrize("body", [{}, {"add": SHORT, "delete": True, "policy": 1}, {"change": {}}, {"add": SHORT, "policy": 1}])
def test_preview_of_no_change_or_two_is_refused(admin: Api, body: dict[str, Any]) -> None:
    assert_refused(admin.post(PREVIEW, body), 422, "invalid", fault="wrong_trial")


def test_who_sees_a_part_of_the_log_learns_no_counts_of_it(tenant: Tenant, admin: Api) -> None:
    store(tenant, [aged(20)] * 5)
    id = admin.get(POLICIES).json()["results"][0]["id"]
    grant = new_grant(tenant, resource_types=["note"], may_manage_retention=True)
    partial = Api(granted_token(tenant, Role.AUDITOR, grant))
    assert_refused(partial.post(PREVIEW, {"add": SHORT}), 403, "not_allowed")
    assert_refused(partial.post("/api/v1/legal-holds/preview", {"holds": "tenant"}), 403, "not_allowed")
    problem = assert_refused(partial.send("PATCH", f"{POLICIES}/{id}", {"hot_days": 7, "cold_days": 0}), 422, "confirmation_needed")
    assert "would_purge" not in problem
    assert "5" not in problem["detail"]


def test_who_may_not_decrypt_counts_nobody_behind_a_pseudonym(tenant: Tenant) -> None:
    LogSettings.objects.update_or_create(pk=tenant.id, defaults={"pseudonymises_users": True})
    catalogue.forget()
    blind = Api(granted_token(tenant, Role.AUDITOR, new_grant(tenant, may_manage_retention=True)))
    assert_refused(blind.post("/api/v1/legal-holds/preview", {"holds": "subject", "subject": "carol"}), 403, "not_allowed")


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800", "\u202e", "'; DROP TABLE", "x" * 101])
def test_odd_text_in_a_policy_is_refused_or_kept_as_it_is(tenant: Tenant, admin: Api, text: str) -> None:
    body = json.dumps(SHORT | {"name": text, "resource_types": [text]}).encode()
    answer = admin.post(POLICIES, body)
    assert answer.status_code in (201, 400, 422), answer.content
    if answer.status_code == 201:
        assert (answer.json()["name"], answer.json()["resource_types"]) == (text, [text])
    assert admin.post(PREVIEW, json.dumps({"add": SHORT | {"resource_types": [text]}}).encode()).status_code in (200, 400, 422)


def test_changes_are_recorded(tenant: Tenant, admin: Api) -> None:
    policy = add(admin)
    admin.send("PATCH", f"{POLICIES}/{policy['id']}", {"hot_days": 9})
    admin.send("DELETE", f"{POLICIES}/{policy['id']}")
    assert acts_on(admin, policy) == ["CREATE", "UPDATE", "DELETE"]
    [update] = admin.get(LOGS, action="UPDATE", resource_id=f"policy-{policy['id']}").json()["results"]
    assert update["metadata"]["changes"] == {"hot_days": 9}


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.USER])
def test_others_than_admins_neither_see_nor_change_policies(tenant: Tenant, admin: Api, role: Role) -> None:
    policy = add(admin)
    other, path = Api(new_token(tenant, role)), f"{POLICIES}/{policy['id']}"
    answers = [other.get(POLICIES), other.get(path), other.post(POLICIES, SHORT), other.send("PATCH", path, {}), other.send("DELETE", path)]
    for answer in [*answers, service_of(tenant).get(POLICIES), other.post(PREVIEW, {"add": SHORT})]:
        assert_refused(answer, 403, "not_allowed")
    assert admin.get(path).json() == policy


def test_policies_of_one_tenant_change_one_after_the_other(tenant: Tenant, admin: Api) -> None:
    """What is checked against the other policies has to be true still when it is committed."""
    policy = add(admin)
    done = threading.Event()

    def change() -> None:
        try:
            assert admin.send("PATCH", f"{POLICIES}/{policy['id']}", {"hot_days": 8}).status_code == 200
            done.set()
        finally:
            connection.close()

    with transaction.atomic():
        lock_retention(tenant.id)
        thread = threading.Thread(target=change)
        thread.start()
        assert not done.wait(0.3)
    thread.join(20)
    assert done.is_set()


def day_of(days_ago: int) -> Partition:
    lower_at = (NOW - days_ago * DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    return Partition("p", lower_at, lower_at + DAY)


def test_planner_tells_each_tenants_entries_by_its_own_policies(tenant: Tenant, admin: Api) -> None:
    add(admin)
    other = new_tenant()
    found = {(due.tenant_id, due.policy_name): due.fate for due in plan(NOW, day_of(100))}
    assert (found[tenant.id, "Notes"], found[tenant.id, "Default"], found[other.id, "Default"]) == ("purge", "archive", "archive")
    young = [(due.policy_name, due.fate) for due in plan(NOW, day_of(20)) if due.tenant_id in (tenant.id, other.id)]
    assert young == [("Notes", "purge")]
    assert plan(NOW, day_of(1)) == []


class Stretch:
    def __init__(self, tenant: Tenant, days_ago: int) -> None:
        day = day_of(days_ago)
        self.tenant_id, self.lower_at, self.upper_at = tenant.id, day.lower_at, day.upper_at


def test_segment_is_due_when_its_cold_days_are_over_and_no_hold_keeps_it(tenant: Tenant, admin: Api) -> None:
    add(admin, hot_days=7, cold_days=30)
    assert plan_segment(NOW, Stretch(tenant, 37)) == []
    assert [(due.policy_name, due.fate) for due in plan_segment(NOW, Stretch(tenant, 39))] == [("Notes", "purge")]
    hold = LegalHold.objects.create(tenant=tenant, holds=HeldThing.TENANT, reason="a case", placed_by="x")
    assert plan_segment(NOW, Stretch(tenant, 39)) == []
    LegalHold.objects.filter(pk=hold.pk).update(released_at=NOW)
    assert plan_segment(NOW, Stretch(tenant, 39)) != []


@pytest.mark.parametrize("query", ["user:carol", "user:car*", "-(-user:carol)"])
def test_hold_on_a_user_keeps_the_entries_with_their_pseudonym(tenant: Tenant, admin: Api, query: str) -> None:
    LogSettings.objects.update_or_create(pk=tenant.id, defaults={"pseudonymises_users": True})
    catalogue.forget()
    add(admin)
    store(tenant, [aged(20, user_id="carol", resource_type="note"), aged(20, user_id="dave", resource_type="note")])
    assert count_due(tenant.id, policies_of(tenant.id), (), NOW).purged == 2
    LegalHold.objects.create(tenant=tenant, holds=HeldThing.QUERY, query=query, reason="a case", placed_by="x")
    # Whose name begins so can't be told of a pseudonym: then both are held.
    assert count_due(tenant.id, policies_of(tenant.id), held_in(tenant.id), NOW).purged == (0 if "*" in query else 1)
    LegalHold.objects.filter(tenant=tenant).update(holds=HeldThing.SUBJECT, subject="carol", query="")
    assert count_due(tenant.id, policies_of(tenant.id), held_in(tenant.id), NOW).purged == 1


def test_hold_that_cannot_be_read_keeps_the_whole_log(tenant: Tenant, admin: Api) -> None:
    LegalHold.objects.create(tenant=tenant, holds=HeldThing.QUERY, query="no:such:qualifier(", reason="a case", placed_by="x")
    [held] = held_in(tenant.id)
    assert predicate_of(held)(None)  # type: ignore[arg-type]  # it asks nothing of an entry


@pytest.fixture
def browser() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser(f"root{uuid.uuid4().hex[:8]}", password=uuid.uuid4().hex))
    return client


ADD = "/admin/archival/retentionpolicy/add/"


def seen(page: str) -> str:
    """The value of the hidden field that says which preview was shown."""
    field = page[page.index('name="preview_seen"') :]
    return html.unescape(field[field.index('value="') + 7 :].partition('"')[0])


def test_admin_shows_the_preview_before_a_policy_is_saved(tenant: Tenant, browser: Client) -> None:
    store(tenant, [aged(20, resource_type="note"), aged(20), aged(20)])
    form = {"tenant": str(tenant.id), "name": "Notes", "resource_types": "note", "actions": "", "hot_days": "7", "cold_days": "0", "precedence": "10"}
    page = browser.post(ADD, form).content.decode()
    assert "Look at the preview" in page
    assert "To be purged" in page
    assert not RetentionPolicy.objects.filter(tenant=tenant, name="Notes").exists()
    # Other values than were shown: shown again.
    other = browser.post(ADD, form | {"preview_seen": seen(page), "hot_days": "9"}).content.decode()
    assert "Look at the preview" in other
    assert browser.post(ADD, form | {"preview_seen": seen(page)}).status_code == 302
    policy = RetentionPolicy.objects.get(tenant=tenant, name="Notes")
    assert (policy.hot_days, policy.cold_days, policy.updated_by.startswith("user:root")) == (7, 0, True)
    listing = browser.get("/admin/archival/retentionpolicy/").content.decode()
    assert "2, the default" in listing


def test_admin_asks_for_the_name_of_a_policy_that_purges_most(tenant: Tenant, admin: Api, browser: Client) -> None:
    store(tenant, [aged(20)] * 5)
    id = admin.get(POLICIES).json()["results"][0]["id"]
    path = f"/admin/archival/retentionpolicy/{id}/change/"
    form = {"name": "Default", "hot_days": "7", "cold_days": "0"}
    page = browser.post(path, form).content.decode()
    assert "It would purge much" in page
    assert "It would purge much" in browser.post(path, form | {"confirm": "default", "preview_seen": seen(page)}).content.decode()
    assert RetentionPolicy.objects.get(pk=id).hot_days == 90
    assert browser.post(path, form | {"confirm": "Default", "preview_seen": seen(page)}).status_code == 302
    assert RetentionPolicy.objects.get(pk=id).hot_days == 7


def test_admin_deletes_no_locked_policy(tenant: Tenant, admin: Api, browser: Client) -> None:
    policy = add(admin, is_locked=True)
    answer = browser.post(f"/admin/archival/retentionpolicy/{policy['id']}/delete/", {"post": "yes"}, follow=True)
    assert "can&#x27;t be deleted" in answer.content.decode()
    assert RetentionPolicy.objects.filter(pk=policy["id"]).exists()
    assert acts_on(admin, policy) == ["CREATE"]


def test_admin_deletes_another_and_records_it_as_the_api_does(tenant: Tenant, admin: Api, browser: Client) -> None:
    policy = add(admin)
    assert browser.post(f"/admin/archival/retentionpolicy/{policy['id']}/delete/", {"post": "yes"}).status_code == 302
    assert not RetentionPolicy.objects.filter(pk=policy["id"]).exists()
    assert acts_on(admin, policy) == ["CREATE", "DELETE"]
