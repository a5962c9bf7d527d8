"""What leaves the log leaves entries: that it was begun, and what was given."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Role, Tenant
from logs.export import jobs, running
from logs.export.stream import stream_count
from logs.models import ExportJob, ExportState
from tests.api import LOGS, Api
from tests.exporting import EXPORT, EXPORTS, body_of
from tests.recorded import assert_not_recorded, nothing_can_be_written, own_entries
from tests.sequencing import sequence_all
from tests.storing import new_tenant, new_token, store


@pytest.fixture(autouse=True)
def no_other_jobs(settings: Any, tmp_path: Any) -> None:
    settings.AUDITLOG_EXPORT_URL = tmp_path.joinpath("exports").as_uri()
    ExportJob.objects.all().delete()


@pytest.fixture
def tenant() -> Tenant:
    tenant = new_tenant()
    store(tenant, [{"user_id": ("alice", "bob")[number % 2], "message": "secret"} for number in range(10)])
    sequence_all()
    return tenant


@pytest.fixture
def auditor(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.AUDITOR, "erin"))


def told(entry: dict[str, Any]) -> tuple[Any, ...]:
    metadata = entry["metadata"]
    return entry["action"], entry["resource_type"], entry["outcome"], metadata["phase"], metadata.get("results"), metadata.get("is_whole")


@pytest.mark.parametrize("format", ["ndjson", "json", "csv", "parquet", "evidence"])
def test_export_is_recorded_at_its_beginning_and_its_end(tenant: Tenant, auditor: Api, format: str) -> None:
    answer = auditor.get(EXPORT, format=format, user_id="bob")
    [begun] = own_entries(tenant)
    assert told(begun) == ("EXPORT", "audit_log_export", "success", "begun", None, None)
    assert (begun["user_id"], begun["metadata"]["query"]) == ("erin", f"format={format}&user_id=bob")
    body_of(answer)
    answer.close()
    [begun, ended] = own_entries(tenant)
    assert told(ended) == ("EXPORT", "audit_log_export", "success", "ended", 5, True)
    assert (ended["user_id"], ended["metadata"]["format"], ended["request_id"]) == ("erin", format, begun["request_id"])


def test_export_whose_client_goes_away_is_recorded_as_cut(tenant: Tenant, auditor: Api) -> None:
    answer: Any = auditor.get(EXPORT, format="ndjson")
    next(iter(answer.streaming_content))
    answer.close()
    assert told(own_entries(tenant)[1]) == ("EXPORT", "audit_log_export", "failure", "ended", 10, False)


def test_export_that_can_not_be_recorded_gives_nothing_and_holds_no_place(tenant: Tenant, auditor: Api) -> None:
    before = stream_count()
    with nothing_can_be_written():
        answer = auditor.get(EXPORT, format="ndjson")
        assert_not_recorded(answer)
        assert b"secret" not in answer.content
        assert_not_recorded(auditor.get(EXPORT, format="evidence"))
    assert stream_count() == before
    assert own_entries(tenant) == []


def test_export_whose_end_can_not_be_recorded_has_no_end(tenant: Tenant, auditor: Api) -> None:
    answer: Any = auditor.get(EXPORT, format="json")
    pieces = iter(answer.streaming_content)
    with nothing_can_be_written(), pytest.raises(Exception, match="recorded"):
        for _ in pieces:
            pass
    [begun] = own_entries(tenant)
    assert told(begun)[3] == "begun"


def test_job_is_recorded_when_it_is_asked_for_ended_and_fetched(tenant: Tenant, auditor: Api) -> None:
    id = auditor.post(EXPORTS, {"format": "ndjson", "query": "user_id=bob"}).json()["id"]
    running.run(uuid.UUID(id))
    url = auditor.get(f"{EXPORTS}/{id}").json()["file"]["url"]
    fetched: Any = Api(None).get(url[url.index("/api/") :])
    assert b"".join(fetched).count(b"\n") == 5
    found = own_entries(tenant)
    assert {entry.get("resource_id") for entry in found} == {id}
    assert [(entry["action"], entry["user_id"], entry["metadata"].get("phase"), entry["metadata"].get("results")) for entry in found] == [
        ("EXPORT", "erin", "asked", None),
        ("EXPORT", "erin", "ended", 5),
        ("READ", "erin", None, None),
        ("EXPORT", "export-link", "fetched", 5),
    ]
    assert found[0]["metadata"]["asked"] == found[1]["metadata"]["asked"] == "user_id=bob"
    # The link is a credential.
    assert "signature" not in str(found)
    with nothing_can_be_written():
        assert_not_recorded(Api(None).get(url[url.index("/api/") :]))


def test_job_whose_end_can_not_be_recorded_has_no_file_and_is_tried_again(tenant: Tenant, auditor: Api, tmp_path: Any) -> None:
    id = uuid.UUID(auditor.post(EXPORTS, {"format": "ndjson"}).json()["id"])
    with nothing_can_be_written():
        running.run(id)
    assert ExportJob.objects.get(pk=id).state == ExportState.QUEUED
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert jobs.take(id) is None
    ExportJob.objects.filter(pk=id).update(heartbeat_at=None)
    running.run(id)
    assert ExportJob.objects.get(pk=id).state == ExportState.DONE


def test_evidence_that_a_command_writes_is_recorded(tenant: Tenant, tmp_path: Any) -> None:
    call_command("evidence", str(tmp_path / "one"), "--tenant", tenant.slug, "--query", "user_id=bob")
    begun, ended = own_entries(tenant)
    assert (begun["user_id"], begun["metadata"]["phase"], begun["metadata"]["query"]) == ("operator", "begun", "user_id=bob")
    assert (ended["metadata"]["phase"], ended["metadata"]["results"]) == ("ended", 5)
    with nothing_can_be_written(), pytest.raises(CommandError, match="recorded"):
        call_command("evidence", str(tmp_path / "two"), "--tenant", tenant.slug)
    assert not (tmp_path / "two").exists()


def test_verification_that_can_not_be_recorded_is_not_carried_out(tenant: Tenant) -> None:
    with nothing_can_be_written(), pytest.raises(CommandError, match="recorded") as refused:
        call_command("verify_log", "--tenant", tenant.slug)
    assert refused.value.returncode == 2
    assert Api(new_token(tenant, Role.AUDITOR)).get(LOGS).status_code == 200
