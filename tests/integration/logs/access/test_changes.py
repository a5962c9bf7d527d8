"""What changes something is recorded before it counts, and does not count if that fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from accounts import recording
from accounts.models import ApiKey, Role, Tenant
from logs.models import ActionDefinition, ExportJob, LogSettings, SavedSearch
from tests.api import Api, assert_refused
from tests.recorded import assert_not_recorded, nothing_can_be_written, own_entries, the_one
from tests.storing import new_tenant, new_token

KEYS, SEARCHES, SETTINGS, ACTIONS, EXPORTS = (f"/api/v1/{name}" for name in ("api-keys", "saved-searches", "log-settings", "actions", "exports"))


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN, "adam"))


def test_key_is_made_and_revoked_by_entries_without_its_secret(tenant: Tenant, admin: Api) -> None:
    made = admin.post(KEYS, {"name": "billing", "scopes": ["logs:read"]}).json()
    assert admin.send("DELETE", f"{KEYS}/{made['id']}").status_code == 204
    created, revoked = own_entries(tenant)
    assert [(entry["action"], entry["resource_type"], entry["resource_id"], entry["user_id"]) for entry in (created, revoked)] == [
        ("CREATE", "audit_log_key", str(made["id"]), "adam"),
        ("REVOKE", "audit_log_key", str(made["id"]), "adam"),
    ]
    assert {name: created["metadata"][name] for name in ("name", "prefix", "scopes")} == {"name": "billing", "prefix": made["prefix"], "scopes": ["logs:read"]}
    assert made["key"].split("_")[2] not in str(created)


def test_key_whose_entry_fails_is_not_made(tenant: Tenant, admin: Api) -> None:
    with nothing_can_be_written():
        answer = admin.post(KEYS, {"name": "billing", "scopes": ["logs:read"]})
    assert_not_recorded(answer)
    assert b"alk_" not in answer.content
    assert not ApiKey.objects.filter(tenant=tenant).exists()
    assert own_entries(tenant) == []


def test_no_change_counts_whose_entry_fails(tenant: Tenant, admin: Api) -> None:
    key = admin.post(KEYS, {"name": "billing", "scopes": ["logs:read"]}).json()
    search = admin.post(SEARCHES, {"name": "mine", "query": {}}).json()
    admin.post(ACTIONS, {"name": "REFUND"})
    before = own_entries(tenant)
    changes: list[tuple[str, str, Any]] = [
        ("DELETE", f"{KEYS}/{key['id']}", None),
        ("PATCH", SETTINGS, {"catalogue_mode": "enforce"}),
        ("POST", SEARCHES, {"name": "other", "query": {}}),
        ("PATCH", f"{SEARCHES}/{search['id']}", {"name": "changed"}),
        ("DELETE", f"{SEARCHES}/{search['id']}", None),
        ("POST", ACTIONS, {"name": "OTHER"}),
        ("PATCH", f"{ACTIONS}/REFUND", {"title_template": "changed"}),
        ("POST", f"{ACTIONS}/REFUND/schemas", {"schema": {}}),
        ("DELETE", f"{ACTIONS}/REFUND", None),
        ("POST", EXPORTS, {"format": "ndjson"}),
    ]
    with nothing_can_be_written():
        for method, path, body in changes:
            assert_not_recorded(admin.send(method, path, body))
    assert own_entries(tenant) == before
    assert ApiKey.objects.get(pk=key["id"]).revoked_at is None
    assert not LogSettings.objects.filter(tenant=tenant).exclude(catalogue_mode="off").exists()
    assert [saved.name for saved in SavedSearch.objects.filter(tenant=tenant)] == ["mine"]
    assert [(action.name, action.title_template, action.schemas.count()) for action in ActionDefinition.objects.filter(tenant=tenant)] == [("REFUND", "", 0)]
    assert not ExportJob.objects.filter(tenant=tenant).exists()


def test_what_was_changed_is_named(tenant: Tenant, admin: Api) -> None:
    admin.send("PATCH", SETTINGS, {"catalogue_mode": "warn"})
    entry = the_one(tenant)
    assert (entry["action"], entry["resource_type"], entry["metadata"]["changes"]) == ("UPDATE", "audit_log_settings", {"catalogue_mode": "warn"})


def test_change_that_is_wrong_leaves_no_entry(tenant: Tenant, admin: Api) -> None:
    assert_refused(admin.send("PATCH", SETTINGS, {"catalogue_mode": "maybe"}), 422, "invalid")
    assert own_entries(tenant) == []


def test_deed_that_is_lost_at_its_commit_has_a_second_entry_that_says_so(tenant: Tenant, admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    class LostCommit(transaction.Atomic):
        def __exit__(self, *error: object) -> None:
            super().__exit__(DatabaseError, DatabaseError("the link broke"), None)
            raise DatabaseError("the link broke")

    with monkeypatch.context() as patch:
        patch.setattr(recording, "transaction", SimpleNamespace(atomic=lambda: LostCommit(None, savepoint=True, durable=False)))
        assert admin.send("PATCH", SETTINGS, {"catalogue_mode": "warn"}).status_code >= 500
    done, lost = own_entries(tenant)
    assert (done["action"], done["outcome"], done["metadata"]["status"]) == ("UPDATE", "success", 200)
    assert (lost["action"], lost["outcome"], lost["metadata"]["status"]) == ("UPDATE", "failure", 503)
    assert not LogSettings.objects.filter(tenant=tenant, catalogue_mode="warn").exists()
