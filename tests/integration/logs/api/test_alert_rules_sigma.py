"""Sigma rules over the API and by the command: shown, kept, or refused as a whole; what is kept fires."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Role, Tenant
from logs.models import AlertRule
from tests.alerting import evaluate, fired, post
from tests.api import Api, assert_refused
from tests.recorded import own_entries
from tests.storing import new_tenant, new_token

SIGMA = "/api/v1/alert-rules/sigma"
ROOT = """
title: Root signs in
logsource: {product: aws, service: cloudtrail}
detection:
  selection: {eventName: ConsoleLogin, userIdentity.type: Root}
  condition: selection
level: high
"""
GUESSING = """
title: Failure
name: failure
logsource: {product: aws, service: cloudtrail}
detection:
  selection: {eventName: ConsoleLogin, responseElements.ConsoleLogin: Failure}
  condition: selection
---
title: Guessing
correlation:
  type: event_count
  rules: failure
  group-by: userIdentity.arn
  timespan: 5m
  condition: {gte: 3}
level: critical
"""
UNFIT = ROOT.replace("Root signs in", "Unfit").replace("eventName:", "eventName|re:")


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


def names(tenant: Tenant) -> list[str]:
    return list(AlertRule.objects.filter(tenant=tenant).order_by("name").values_list("name", flat=True))


def test_rules_are_shown_and_not_kept(admin: Api, tenant: Tenant) -> None:
    answer = admin.post(SIGMA, {"sigma": ROOT})
    assert answer.status_code == 200, answer.content
    (rule,) = answer.json()["rules"]
    assert (rule["id"], rule["name"], rule["severity"], rule["query"]) == (
        None,
        "Root signs in",
        "ERROR",
        'action:"CONSOLE_LOGIN" metadata.userIdentity.type:"Root"',
    )
    assert rule["mapped"] == {"eventName": "action", "userIdentity.type": "metadata.userIdentity.type"}
    assert names(tenant) == []


def test_what_is_kept_fires(admin: Api, tenant: Tenant) -> None:
    answer = admin.post(f"{SIGMA}?save=true", {"sigma": f"{ROOT}---{GUESSING}"})
    assert answer.status_code == 201, answer.content
    rules = answer.json()["rules"]
    assert [admin.get(f"/api/v1/alert-rules/{rule['id']}").json()["query"] for rule in rules] == [rule["query"] for rule in rules]
    assert names(tenant) == ["Guessing", "Root signs in"]
    login: dict[str, Any] = {"action": "CONSOLE_LOGIN", "resource_type": "signin"}
    failure = login | {"user_id": "arn:bob", "metadata": {"responseElements": {"ConsoleLogin": "Failure"}}}
    post(tenant, failure, failure, failure | {"user_id": "arn:carol"}, login | {"metadata": {"userIdentity": {"type": "Root"}}}, failure)
    evaluate(tenant)
    assert fired(tenant) == [("Root signs in", {}, 1), ("Guessing", {"user_id": "arn:bob"}, 3)]


def test_one_that_does_not_fit_keeps_all_from_being_kept(admin: Api, tenant: Tenant) -> None:
    answer = admin.post(f"{SIGMA}?save=true", {"sigma": f"{ROOT}---{UNFIT}"})
    assert_refused(answer, 422, "invalid")
    (fault,) = answer.json()["errors"]
    assert (fault["pointer"], fault["code"]) == ("/sigma/1/detection/selection/eventName|re", "sigma_unfit")
    assert names(tenant) == []


def test_a_name_that_is_taken_keeps_all_from_being_kept(admin: Api, tenant: Tenant) -> None:
    assert admin.post(f"{SIGMA}?save=true", {"sigma": ROOT}).status_code == 201
    answer = admin.post(f"{SIGMA}?save=true", {"sigma": f"{GUESSING}---{ROOT}"})
    assert_refused(answer, 422, "invalid")
    assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [("/sigma/2/title", "exists")]
    assert names(tenant) == ["Root signs in"]


def test_fields_and_activity_are_what_is_asked_for(admin: Api, tenant: Tenant) -> None:
    answer = admin.post(f"{SIGMA}?save=true", {"sigma": ROOT, "fields": {"userIdentity.type": "resource_type"}, "is_active": False})
    assert answer.json()["rules"][0]["query"] == 'action:"CONSOLE_LOGIN" resource_type:"Root"'
    assert not AlertRule.objects.get(tenant=tenant).is_active
    refused = admin.post(SIGMA, {"sigma": ROOT, "fields": {"eventName": "nowhere"}})
    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/fields/eventName"]


@pytest.mark.parametrize("body", [{}, {"sigma": ""}, {"sigma": 5}, {"sigma": ROOT, "fields": ["x"]}, {"sigma": ROOT, "more": 1}, []])
def test_a_body_that_is_none_is_refused(admin: Api, tenant: Tenant, body: Any) -> None:
    assert_refused(admin.post(SIGMA, body), 422, "invalid")
    assert names(tenant) == []


def test_an_import_is_an_entry(admin: Api, tenant: Tenant) -> None:
    admin.post(f"{SIGMA}?save=true", {"sigma": ROOT})
    (entry,) = own_entries(tenant, action="IMPORT")
    assert (entry["resource_type"], entry["metadata"]["saved"], entry["metadata"]["rules"]) == ("audit_log_alert_rule", True, ["Root signs in"])


# -- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "root.yml").write_text(ROOT)
    (tmp_path / "deep" / "guessing.yaml").write_text(GUESSING)
    (tmp_path / "unfit.yml").write_text(UNFIT)
    (tmp_path / "broken.yml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "README.md").write_text("# no rule")
    return tmp_path


def run(tenant: Tenant, *arguments: str) -> str:
    output = StringIO()
    call_command("import_sigma", *arguments, "--tenant", tenant.slug, stdout=output)
    return output.getvalue()


def test_command_shows_what_fits_and_what_does_not(tenant: Tenant, folder: Path) -> None:
    output = run(tenant, str(folder))
    assert "4 files: 2 fit, 2 do not. 2 rules, none kept" in output
    assert "detection/selection/eventName|re: The query language has no regular expressions." in output
    assert "README" not in output
    assert names(tenant) == []


def test_command_keeps_what_fits_once(tenant: Tenant, folder: Path) -> None:
    assert "2 rules kept" in run(tenant, str(folder), "--save", "--inactive")
    assert names(tenant) == ["Guessing", "Root signs in"]
    assert not AlertRule.objects.filter(tenant=tenant, is_active=True).exists()
    again = run(tenant, str(folder), "--save")
    assert "0 rules kept" in again
    assert "There is an alert rule of this name already." in again
    assert sorted(name for entry in own_entries(tenant, action="IMPORT") for name in entry["metadata"]["rules"]) == ["Guessing", "Root signs in"]


def test_command_takes_fields_from_a_file(tenant: Tenant, folder: Path) -> None:
    (folder / "fields.json").write_text(json.dumps({"userIdentity.type": "resource_type"}))
    run(tenant, str(folder / "root.yml"), "--save", "--fields", str(folder / "fields.json"))
    assert AlertRule.objects.get(tenant=tenant).query == 'action:"CONSOLE_LOGIN" resource_type:"Root"'


def test_command_refuses_what_it_is_not_meant_for(tenant: Tenant, folder: Path) -> None:
    with pytest.raises(CommandError, match="no tenant"):
        call_command("import_sigma", str(folder), "--tenant", "nobody")
    with pytest.raises(CommandError, match="No such file"):
        run(tenant, str(folder / "none.yml"))
    (folder / "fields.json").write_text('{"a": "nowhere"}')
    with pytest.raises(CommandError, match="no field of entries"):
        run(tenant, str(folder / "root.yml"), "--fields", str(folder / "fields.json"))
