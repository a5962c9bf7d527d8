"""Pseudonymised exports: none of the planted people in any format, streamed or by a job, and what belongs together still does."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Role, Tenant
from logs import catalogue
from logs.export import running
from logs.models import ActionDefinition, ExportJob, LogSettings
from logs.storage.table import TABLE_COLUMN_NAMES
from tests.api import LOGS, Api, assert_refused, entry, service_of
from tests.exporting import EXPORT, EXPORTS, body_of, lines_of, read_csv, read_parquet, searched
from tests.sequencing import sequence_all
from tests.storing import new_key, new_tenant, new_token, store

PEOPLE = ("carol-planted", "dave-planted")
PLANTED = [*PEOPLE, "session-planted", "203.0.113.77", "browser-planted", "free-text-planted", "key-planted", "Carol-Planted"]


@pytest.fixture
def tenant(settings: Any, tmp_path: Path) -> Tenant:
    settings.AUDITLOG_EXPORT_URL = tmp_path.joinpath("exports").as_uri()
    ExportJob.objects.all().delete()
    tenant = new_tenant()
    ActionDefinition.objects.create(tenant=tenant, name="UPDATE", title_template="{user} updated {resource}")
    store(
        tenant,
        [
            {
                "user_id": PEOPLE[number % 2],
                "session_id": f"session-planted-{number % 2}",
                "ip_address": "203.0.113.77",
                "user_agent": "browser-planted",
                "message": f"free-text-planted of {PEOPLE[number % 2]}",
                "resource_type": "user",
                "resource_id": PEOPLE[number % 2],
                "idempotency_key": f"key-planted-{number}",
                "timestamp": f"2026-01-31T12:00:{number:02}Z",
                "metadata": {"by": PEOPLE[number % 2], "note": f"by {PEOPLE[number % 2].title()} from 203.0.113.77", "n": number},
                "before": {"owner": PEOPLE[number % 2]},
                "after": {"owner": PEOPLE[number % 2], "sessions": [f"session-planted-{number % 2}"]},
            }
            for number in range(20)
        ],
    )
    sequence_all()
    return tenant


def assert_nobody_in(content: bytes) -> None:
    for name in PLANTED:
        assert name.encode() not in content, name


@pytest.mark.parametrize("format", ["json", "ndjson", "csv", "parquet"])
def test_stream_holds_none_of_the_people(tenant: Tenant, format: str) -> None:
    content = body_of(service_of(tenant).get(EXPORT, format=format, pseudonymise="true", q="user:carol-planted OR user:dave-planted"))
    assert_nobody_in(content)
    tables = {"csv": read_csv, "parquet": read_parquet}
    if format in tables:
        rows = tables[format](content)
        assert_nobody_in(str(rows).encode())
        people = [row[TABLE_COLUMN_NAMES.index("user_id")] for row in rows]
    else:
        people = [entry["user_id"] for entry in (json.loads(content)["entries"] if format == "json" else lines_of(content))]
    assert (len(people), len(set(people))) == (20, 2)


@pytest.mark.parametrize("format", ["json", "ndjson", "csv", "parquet"])
def test_job_holds_none_of_the_people_and_says_what_it_is(tenant: Tenant, format: str, tmp_path: Path) -> None:
    api = service_of(tenant)
    id = api.post(EXPORTS, {"format": format, "pseudonymise": True, "query": "user_id=carol-planted"}).json()["id"]
    running.run(uuid.UUID(id))
    job = api.get(f"{EXPORTS}/{id}").json()
    assert (job["state"], job["is_pseudonymised"], job["manifest"]["is_pseudonymised"], job["manifest"]["question"]) == ("done", True, True, "")
    assert job["entries_written"] == 10
    files = [path for path in (tmp_path / "exports").rglob("*") if path.is_file()]
    assert len(files) == 2
    for path in files:
        assert_nobody_in(path.read_bytes())


def test_counts_and_joins_are_those_of_the_log(tenant: Tenant) -> None:
    api = service_of(tenant)
    clear = searched(api, resource_type="user")[::-1]
    found = lines_of(body_of(api.get(EXPORT, format="ndjson", pseudonymise="true", resource_type="user", order="asc")))
    people = {before["user_id"]: after["user_id"] for before, after in zip(clear, found, strict=True)}
    sessions = {before["session_id"]: after["session_id"] for before, after in zip(clear, found, strict=True)}
    assert (len(set(people.values())), len(set(sessions.values())), len({entry["ip_address"] for entry in found})) == (2, 2, 1)
    for before, after in zip(clear, found, strict=True):
        person = people[before["user_id"]]
        assert (after["user_id"], after["resource_id"], after["metadata"]["by"]) == (person, person, person)
        assert after["metadata"]["note"] == f"by {person} from {after['ip_address']}"
        assert after["after"] == {"owner": person, "sessions": [sessions[before["session_id"]]]}
        assert after["integrity"] == {"position": before["integrity"]["position"]}
        assert [after[name] for name in ("id", "timestamp", "action", "severity")] == [before[name] for name in ("id", "timestamp", "action", "severity")]


def test_two_exports_have_other_pseudonyms(tenant: Tenant) -> None:
    api = service_of(tenant)
    first, second = [lines_of(body_of(api.get(EXPORT, format="ndjson", pseudonymise="true", resource_type="user"))) for _ in range(2)]
    assert not {entry["user_id"] for entry in first} & {entry["user_id"] for entry in second}


@pytest.mark.parametrize("scopes", [("logs:read",), ("logs:read", "logs:decrypt")])
def test_users_whom_the_log_pseudonymises_already_are_not_told_either(tenant: Tenant, scopes: tuple[str, ...]) -> None:
    LogSettings.objects.update_or_create(pk=tenant.id, defaults={"pseudonymises_users": True})
    catalogue.forget()
    service = service_of(tenant)
    fields = {"user_id": "erin-planted", "resource_type": "late", "metadata": {"who": "erin-planted"}, "after": {"who": "Erin-Planted"}}
    assert service.post(LOGS, entry(**fields)).status_code == 201
    api = Api(new_key(tenant, *scopes))
    for format in ("json", "ndjson", "csv", "parquet"):
        content = body_of(api.get(EXPORT, format=format, pseudonymise="true", resource_type="late"))
        shown = str(read_parquet(content)) if format == "parquet" else content.decode()
        assert "u_" in shown
        assert "planted" not in shown.lower()


def test_evidence_is_not_pseudonymised_and_says_so(tenant: Tenant) -> None:
    api = Api(new_token(tenant, Role.AUDITOR))
    problem = assert_refused(api.get(EXPORT, format="evidence", pseudonymise="true"), 422, "invalid_query", pointer="pseudonymise")
    assert "planted" not in str(problem)
    assert_refused(api.get(EXPORT, format="ndjson", pseudonymise="yes"), 422, "invalid_query", pointer="pseudonymise")
    assert_refused(api.post(EXPORTS, {"format": "ndjson", "pseudonymise": "perhaps"}), 422, "invalid", pointer="/pseudonymise")
    assert api.get(LOGS).status_code == 200
