"""Masking rules: kept and tried out by Admins, seen by readers, counting for what comes in from then on."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from accounts.models import Role, Tenant
from logs import catalogue
from logs.models import MaskingRule
from logs.privacy.masking import MAX_RULES, forget
from tests.api import LOGS, Api, assert_refused, entry, service_of
from tests.storing import new_key, new_tenant, new_token, store

RULES = "/api/v1/masking-rules"
PREVIEW = RULES + "/preview"
RULE: dict[str, Any] = {"name": "Employee numbers", "kind": "pattern", "pattern": "EMP-[0-9]{6}"}


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


@pytest.fixture
def service(tenant: Tenant) -> Api:
    return service_of(tenant)


def add(admin: Api, **fields: Any) -> str:
    """Keep a rule. Answers its address."""
    answer = admin.post(RULES, RULE | fields)
    assert answer.status_code == 201, answer.content
    return answer["Location"]


def posted(service: Api, **fields: Any) -> dict[str, Any]:
    """Post an entry. Answers what is stored of it."""
    answer = service.post(LOGS, entry(**fields))
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = service.get(answer["Location"]).json()
    return found


def test_built_in_rules_mask_from_the_first_entry_on(service: Api) -> None:
    found = posted(service, message="card 4111 1111 1111 1111", metadata={"password": "hunter2", "n": 1}, before={"a": 1}, after={"a": 1, "pin": "1234"})
    assert found["message"] == "card ••••1111"
    assert found["metadata"] == {"password": "[redacted]", "n": 1}
    assert found["after"] == {"a": 1, "pin": "[redacted]"}
    assert found["masked"] == ["/after/pin", "/message", "/metadata/password"]
    assert found["changed_fields"] == ["pin"]


def test_entry_without_secrets_names_none(service: Api) -> None:
    assert "masked" not in posted(service, message="all is well", metadata={"token_type": "Bearer"})


def test_what_an_audit_log_is_for_is_never_masked(service: Api) -> None:
    ids = {"user_id": "ada@example.com", "resource_id": "4111111111111111", "session_id": "ghp_" + "a1" * 18, "ip_address": "203.0.113.7"}
    found = posted(service, **ids)
    assert {name: found[name] for name in ids} == ids


def test_rule_counts_from_then_on_and_goes_with_its_deletion(admin: Api, service: Api) -> None:
    assert posted(service, message="EMP-004711 came in")["message"] == "EMP-004711 came in"
    path = add(admin)
    assert posted(service, message="EMP-004711 came in")["message"] == "[redacted] came in"
    assert admin.send("PATCH", path, {"action": "partial"}).status_code == 200
    assert posted(service, message="EMP-004711 came in")["message"] == "••••4711 came in"
    assert admin.send("PATCH", path, {"is_active": False}).status_code == 200
    assert posted(service, message="EMP-004711 came in")["message"] == "EMP-004711 came in"
    assert admin.send("DELETE", path).status_code == 204
    assert_refused(admin.get(path), 404, "not_found")


def test_rule_of_other_resource_types_or_fields_does_not_count(admin: Api, service: Api) -> None:
    add(admin, resource_types=["badge"], fields=["message"])
    text = "EMP-004711"
    assert posted(service, message=text)["message"] == text
    found = posted(service, resource_type="badge", message=text, metadata={"a": text})
    assert (found["message"], found["metadata"]) == ("[redacted]", {"a": text})


def test_key_rule_means_every_spelling(admin: Api, service: Api) -> None:
    add(admin, kind="key", pattern="*salary", action="drop")
    found = posted(service, after={"baseSalary": 1, "BASE_SALARY": 2, "salaryBand": "C", "x": {"salary": 3}})
    assert found["after"] == {"salaryBand": "C", "x": {}}
    assert found["masked"] == ["/after/BASE_SALARY", "/after/baseSalary", "/after/x/salary"]


def test_own_rules_come_before_built_in_ones_and_by_position(admin: Api, service: Api) -> None:
    add(admin, name="second", pattern="hunter[0-9]", action="hash", position=20)
    add(admin, name="first", kind="key", pattern="password", action="partial", position=10)
    found = posted(service, metadata={"password": "hunter2hunter2"}, message="hunter2")
    assert found["metadata"] == {"password": "••••ter2"}
    assert found["message"].startswith("[hash:")


def test_built_in_rule_is_switched_off_and_given_another_action(admin: Api, service: Api) -> None:
    mail = {"email": "ada@example.com"}
    hashed = posted(service, metadata=mail)["metadata"]["email"]
    assert hashed.startswith("[hash:")
    assert posted(service, message="to ada@example.com")["message"] == f"to {hashed}"
    assert admin.send("PATCH", RULES + "/built-in/emails", {"is_active": False}).json()["is_active"] is False
    assert posted(service, metadata=mail)["metadata"] == mail
    changed = admin.send("PATCH", RULES + "/built-in/emails", {"is_active": True, "action": "redact"}).json()
    assert (changed["action"], changed["default_action"]) == ("redact", "hash")
    assert posted(service, metadata=mail)["metadata"] == {"email": "[redacted]"}
    assert_refused(admin.send("PATCH", RULES + "/built-in/nothing", {"is_active": False}), 404, "not_found")


def test_hashes_of_two_tenants_differ(service: Api) -> None:
    other = service_of(new_tenant())
    mail = {"email": "ada@example.com"}
    assert posted(service, metadata=mail)["metadata"] != posted(other, metadata=mail)["metadata"]


def test_list_has_own_and_built_in_rules(admin: Api, tenant: Tenant) -> None:
    add(admin, name="b", position=5)
    add(admin, name="a", position=7)
    for reader in (admin, Api(new_token(tenant, Role.AUDITOR)), Api(new_key(tenant, "logs:read"))):
        found = reader.get(RULES).json()
        assert [rule["name"] for rule in found["rules"]] == ["b", "a"]
        assert {rule["name"]: rule["action"] for rule in found["built_in"]}["passwords"] == "redact"
    assert found["rules"][0]["created_by"].startswith("user:")


@pytest.mark.parametrize(
    ("fields", "pointer", "word"),
    [
        ({"pattern": "(EMP"}, "/pattern", "RE2 says"),
        ({"pattern": r"(a)\1"}, "/pattern", "RE2 says"),
        ({"pattern": "(?=a)b"}, "/pattern", "RE2 says"),
        ({"pattern": "a*"}, "/pattern", "empty text"),
        ({"pattern": "x|"}, "/pattern", "empty text"),
        ({"pattern": "((a{1,100}){1,100}){1,100}"}, "/pattern", "RE2 says"),
        ({"pattern": "(\\pL{900}|\\pN{900})"}, "/pattern", "RE2 says"),
        ({"pattern": "a" * 1001}, "/pattern", "1000"),
        ({"pattern": ""}, "/pattern", ""),
        ({"kind": "key", "pattern": "*"}, "/pattern", "letters or digits"),
        ({"kind": "key", "pattern": "a*b"}, "/pattern", "letters or digits"),
        ({"kind": "key", "pattern": "(a|b)c"}, "/pattern", "letters"),
        ({"name": " "}, "/name", "empty"),
        ({"kind": "other"}, "/kind", ""),
        ({"action": "forget"}, "/action", ""),
        ({"fields": ["user_id"]}, "/fields/...", ""),
        ({"position": -1}, "/position", ""),
        ({"created_by": "mallory"}, "/created_by", ""),
        ({"tenant_id": "x"}, "/tenant_id", ""),
    ],
)
def test_wrong_rule_is_refused(admin: Api, tenant: Tenant, fields: dict[str, Any], pointer: str, word: str) -> None:
    for method, path in (("POST", RULES), ("PATCH", add(admin))):
        body = RULE | {"name": "new"} | fields if method == "POST" else fields
        problem = assert_refused(admin.send(method, path, body), 422, "invalid")
        assert problem["errors"][0]["pointer"].startswith(pointer.removesuffix("/..."))
        assert word in problem["detail"]
        assert MaskingRule.objects.filter(tenant=tenant).exclude(**RULE).count() == 0


def test_pattern_that_no_other_engine_survives_costs_nothing(admin: Api, service: Api) -> None:
    add(admin, pattern="(x+x+)+y")
    assert posted(service, message="x" * 30_000)["message"] == "x" * 30_000


def test_two_rules_of_one_name_are_refused(admin: Api, tenant: Tenant) -> None:
    add(admin)
    assert_refused(admin.post(RULES, RULE | {"pattern": "other"}), 422, "invalid", fault="exists", pointer="/name")
    assert MaskingRule.objects.get(tenant=tenant).pattern == RULE["pattern"]


def test_no_more_rules_than_there_may_be(admin: Api, tenant: Tenant) -> None:
    MaskingRule.objects.bulk_create(MaskingRule(tenant=tenant, name=str(number), kind="key", pattern="salary") for number in range(MAX_RULES))
    assert_refused(admin.post(RULES, RULE), 422, "invalid", fault="too_many_masking_rules")
    assert MaskingRule.objects.filter(tenant=tenant).count() == MAX_RULES


def test_change_with_an_old_version_is_refused(admin: Api) -> None:
    path = add(admin)
    etag = admin.get(path)["ETag"]
    assert admin.send("PATCH", path, {"position": 1}, If_Match=etag).status_code == 200
    for answer in (admin.send("PATCH", path, {"position": 2}, If_Match=etag), admin.send("DELETE", path, If_Match=etag)):
        assert_refused(answer, 412, "changed_meanwhile")
    assert admin.get(path).json()["position"] == 1


def test_only_admins_of_the_tenant_change_rules(admin: Api, tenant: Tenant) -> None:
    path = add(admin)
    mallory = Api(new_token(new_tenant(), Role.ADMIN))
    assert mallory.get(RULES).json()["rules"] == []
    for answer in (mallory.get(path), mallory.send("PATCH", path, {"action": "drop"}), mallory.send("DELETE", path)):
        assert "EMP" not in str(assert_refused(answer, 404, "not_found"))
    auditor = Api(new_token(tenant, Role.AUDITOR))
    for answer in (
        auditor.post(RULES, RULE),
        auditor.send("PATCH", path, {"action": "drop"}),
        auditor.send("DELETE", path),
        auditor.send("PATCH", RULES + "/built-in/emails", {"is_active": False}),
        auditor.post(PREVIEW, {"rule": RULE}),
    ):
        assert_refused(answer, 403, "not_allowed")
    assert admin.get(path).json()["action"] == "redact"
    assert {rule["is_active"] for rule in admin.get(RULES).json()["built_in"]} == {True}


# -- trying out ----------------------------------------------------------------------------------------------------


def test_preview_shows_what_would_change_and_stores_nothing(admin: Api, tenant: Tenant) -> None:
    ids = store(tenant, [{"message": "EMP-004711 came", "metadata": {"password": "hunter2"}}, {"message": "nobody"}, {"after": {"by": "EMP-000001", "n": 1.5}}])
    found = admin.post(PREVIEW, {"rule": RULE | {"action": "partial"}}).json()
    assert (found["looked_at"], found["would_change"]) == (3, 2)
    by_id = {change["id"]: change for change in found["changes"]}
    assert by_id[ids[0]] == {"id": ids[0], "masked": ["/message"], "before": {"message": "EMP-004711 came"}, "after": {"message": "••••4711 came"}}
    assert by_id[ids[2]]["after"] == {"after": {"by": "••••0001", "n": 1.5}}
    assert "hunter2" not in str(found)
    assert not MaskingRule.objects.filter(tenant=tenant).exists()


def test_preview_of_samples_applies_all_rules(admin: Api) -> None:
    samples = [{"message": "EMP-004711", "metadata": {"token": "abc", "n": 12345678901234567890}}, {"message": "nothing"}]
    found = admin.post(PREVIEW, {"rule": RULE, "samples": samples, "entries": 0}).json()
    assert found["looked_at"] == 0
    assert found["samples"][0]["after"] == {"message": "[redacted]", "metadata": {"n": 12345678901234567890, "token": "[redacted]"}}
    assert found["samples"][1] == {"masked": [], "before": {}, "after": {}}


def test_preview_shows_no_entries_of_another_tenant(admin: Api, tenant: Tenant) -> None:
    store(new_tenant(), [{"message": "EMP-999999"}])
    store(tenant, [{"message": "EMP-000001"}])
    found = admin.post(PREVIEW, {"rule": RULE, "entries": 200}).json()
    assert found["looked_at"] == 1
    assert "EMP-999999" not in str(found)


def test_preview_looks_at_the_entries_that_the_rule_is_for(admin: Api, tenant: Tenant) -> None:
    store(tenant, [{"resource_type": "badge", "message": "EMP-000001"}, {"message": "EMP-000002"}])
    found = admin.post(PREVIEW, {"rule": RULE | {"resource_types": ["badge"]}}).json()
    assert (found["looked_at"], found["would_change"]) == (1, 1)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"rule": RULE | {"pattern": "(("}}, "/rule/pattern"),
        ({"rule": RULE, "entries": 201}, "/entries"),
        ({"rule": RULE, "samples": [{}] * 21}, "/samples"),
        ({"rule": RULE, "samples": [{"user_id": "x"}]}, "/samples"),
        ({}, "/rule"),
    ],
)
def test_wrong_trial_is_refused(admin: Api, body: dict[str, Any], pointer: str) -> None:
    problem = assert_refused(admin.post(PREVIEW, body), 422, "invalid")
    assert problem["errors"][0]["pointer"].startswith(pointer)


# -- on the way ----------------------------------------------------------------------------------------------------


def test_retry_of_a_masked_entry_is_a_replay(service: Api) -> None:
    body = entry(timestamp="2026-01-31T12:00:00Z", idempotency_key="k", message="password=hunter2", metadata={"mail": "ada@example.com"})
    first, second = service.post(LOGS, body), service.post(LOGS, body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]


def test_rules_are_looked_up_again_after_a_while(tenant: Tenant, service: Api) -> None:
    posted(service, message="EMP-004711")
    # As another process would: nobody tells this one.
    MaskingRule.objects.create(tenant=tenant, **RULE)
    with override_settings(AUDITLOG_CREDENTIAL_CACHE_SECONDS=0):
        forget()
        assert posted(service, message="EMP-004711")["message"] == "[redacted]"


def test_rule_that_no_longer_compiles_stops_nothing(tenant: Tenant, service: Api) -> None:
    MaskingRule.objects.create(tenant=tenant, name="broken", kind="pattern", pattern="((")
    forget()
    assert posted(service, message="password=hunter2")["message"] == "password=[redacted]"


def test_refusal_for_a_value_that_the_catalogue_does_not_allow_does_not_quote_it(admin: Api, service: Api) -> None:
    admin.post("/api/v1/actions", {"name": "PAY"})
    schema = {"type": "object", "properties": {"card": {"type": "string", "maxLength": 4}}}
    assert admin.post("/api/v1/actions/PAY/schemas", {"schema": schema}).status_code == 201
    assert admin.send("PATCH", "/api/v1/log-settings", {"catalogue_mode": "enforce"}).status_code == 200
    catalogue.forget()
    answer = service.post(LOGS, entry(action="PAY", metadata={"card": "4111111111111111"}))
    assert_refused(answer, 422, "invalid_entry", fault="metadata_does_not_fit", pointer="/metadata/card")
    assert b"4111111111111111" not in answer.content
