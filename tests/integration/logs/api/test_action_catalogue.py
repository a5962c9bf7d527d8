"""The action catalogue: described over the API, checked while posting, shown while reading."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Role, Tenant
from logs import catalogue
from tests.api import BULK, LOGS, Api, assert_refused, entry, service_of, stored_count
from tests.storing import new_tenant, new_token

ACTIONS, SETTINGS = "/api/v1/actions", "/api/v1/log-settings"
SCHEMA = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer", "minimum": 0}}, "additionalProperties": False}


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


@pytest.fixture
def service(tenant: Tenant) -> Api:
    return service_of(tenant)


def describe(admin: Api, mode: str, *schemas: Any, **fields: Any) -> None:
    """REFUND as the tenant's only action, in `mode`, with versions of a schema."""
    assert admin.post(ACTIONS, {"name": "REFUND", **fields}).status_code == 201
    for schema in schemas:
        assert admin.post(ACTIONS + "/REFUND/schemas", {"schema": schema}).status_code == 201
    assert admin.send("PATCH", SETTINGS, {"catalogue_mode": mode}).json()["catalogue_mode"] == mode
    catalogue.forget()


def test_off_checks_nothing(admin: Api, service: Api) -> None:
    describe(admin, "off", SCHEMA)
    assert service.post(LOGS, entry(action="REFUND", metadata={"amount": -1})).status_code == 201
    assert "warnings" not in service.post(LOGS, entry(action="ANYTHING")).json()


def test_warn_stores_and_says_what_does_not_fit(tenant: Tenant, admin: Api, service: Api) -> None:
    describe(admin, "warn", SCHEMA)
    unknown = service.post(LOGS, entry(action="ANYTHING"))
    assert unknown.status_code == 201
    assert [(one["code"], one["pointer"]) for one in unknown.json()["warnings"]] == [("unknown_action", "/action")]
    bulk = service.post(BULK, [entry(action="REFUND", metadata={"amount": 1}), entry(action="REFUND", metadata={"amount": -1})])
    assert [(one["code"], one["pointer"]) for one in bulk.json()["warnings"]] == [("metadata_does_not_fit", "/1/metadata/amount")]
    assert stored_count(tenant) == 3


@pytest.mark.parametrize(
    ("fields", "fault", "pointer"),
    [
        ({"action": "ANYTHING"}, "unknown_action", "/action"),
        ({"action": "REFUND", "metadata": {"amount": "7"}}, "metadata_does_not_fit", "/metadata/amount"),
        ({"action": "REFUND", "metadata": {"amount": 7, "more": 1}}, "metadata_does_not_fit", "/metadata"),
        ({"action": "REFUND"}, "metadata_does_not_fit", "/metadata"),
    ],
)
def test_enforce_refuses_what_does_not_fit(tenant: Tenant, admin: Api, service: Api, fields: Any, fault: str, pointer: str) -> None:
    describe(admin, "enforce", SCHEMA)
    assert_refused(service.post(LOGS, entry(**fields)), 422, "invalid_entry", fault=fault, pointer=pointer)
    assert stored_count(tenant) == 0
    assert service.post(LOGS, entry(action="REFUND", metadata={"amount": 7})).status_code == 201


def test_newest_version_of_a_schema_counts_and_older_ones_stay(admin: Api, service: Api) -> None:
    describe(admin, "enforce", SCHEMA, {"type": "object"})
    assert service.post(LOGS, entry(action="REFUND", metadata={"amount": "any"})).status_code == 201
    assert [one["version"] for one in admin.get(ACTIONS + "/REFUND/schemas").json()] == [2, 1]
    assert admin.get(ACTIONS + "/REFUND").json()["schema_version"] == 2


def test_described_severity_is_taken_for_entries_that_name_none(admin: Api, service: Api) -> None:
    describe(admin, "warn", default_severity="ERROR")
    graver = service.get(service.post(LOGS, entry(action="REFUND"))["Location"]).json()
    own = service.get(service.post(LOGS, entry(action="REFUND", severity="INFO"))["Location"]).json()
    assert (graver["severity"], own["severity"]) == ("ERROR", "INFO")


def test_title_reads_as_its_template(admin: Api, service: Api) -> None:
    describe(admin, "off", title_template="{user} gave back {metadata.amount} for {resource} ({resource_type}, {nonsense}, {metadata.gone})")
    found = service.get(service.post(LOGS, entry(action="REFUND", resource_id="i-1", metadata={"amount": 7}))["Location"]).json()
    assert found["title"] == "alice gave back 7 for i-1 (invoice, {nonsense}, –)"


@pytest.mark.parametrize(
    "schema", [{"type": "nonsense"}, [], {"$ref": "https://example.com/schema.json"}, {"$ref": "file:///etc/passwd"}, {"pattern": "(?=a)"}]
)
def test_schema_that_can_not_be_checked_is_refused(admin: Api, schema: Any) -> None:
    describe(admin, "off")
    assert_refused(admin.post(ACTIONS + "/REFUND/schemas", {"schema": schema}), 422, "invalid", pointer="/schema")
    assert admin.get(ACTIONS + "/REFUND/schemas").json() == []


def test_pattern_that_would_take_forever_does_not(admin: Api, service: Api) -> None:
    describe(admin, "enforce", {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}})
    assert service.post(LOGS, entry(action="REFUND", metadata={"a": "a" * 5000 + "!"})).status_code == 422


def test_wrong_description_is_refused(admin: Api) -> None:
    assert_refused(admin.post(ACTIONS, {"name": "refund"}), 422, "invalid", pointer="/name")
    assert_refused(admin.post(ACTIONS, {"name": "REFUND", "default_severity": "FATAL"}), 422, "invalid", pointer="/default_severity")
    describe(admin, "off")
    assert_refused(admin.post(ACTIONS, {"name": "REFUND"}), 422, "invalid", fault="exists", pointer="/name")
    assert_refused(admin.send("PATCH", SETTINGS, {"catalogue_mode": "sometimes"}), 422, "invalid", pointer="/catalogue_mode")
    assert len(admin.get(ACTIONS).json()) == 1


def test_description_can_be_changed_and_removed(admin: Api) -> None:
    describe(admin, "off", title_template="old")
    changed = admin.send("PATCH", ACTIONS + "/REFUND", {"title_template": "new", "name": "OTHER"})
    assert (changed.json()["name"], changed.json()["title_template"]) == ("REFUND", "new")
    assert admin.send("DELETE", ACTIONS + "/REFUND").status_code == 204
    assert_refused(admin.get(ACTIONS + "/REFUND"), 404, "not_found")


def test_catalogue_of_another_tenant_is_not_there(admin: Api) -> None:
    describe(admin, "off")
    mallory = Api(new_token(new_tenant(), Role.ADMIN))
    assert mallory.get(ACTIONS).json() == []
    for method in ("GET", "PATCH", "DELETE"):
        assert_refused(mallory.send(method, ACTIONS + "/REFUND", {}), 404, "not_found")
    assert mallory.get(SETTINGS).json()["catalogue_mode"] == "off"
    assert len(admin.get(ACTIONS).json()) == 1
