"""Export jobs: asked for, carried out once, whole or not at all, with the rights of the asker, and ended when they are told to."""

from __future__ import annotations

import datetime
import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import zstandard
from django.db import connection, connections, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError
from psycopg import sql

from accounts.models import AccessGrant, ApiKey, Membership, Role, Tenant, User
from logs import tasks
from logs.export import jobs, running
from logs.models import ExportJob, ExportState
from tests.access import forget_principals, granted_key, granted_token, new_grant, row_of, viewer
from tests.api import NOT_OWN, Api, PostedApi, assert_refused, service_of
from tests.exporting import EXPORT, EXPORTS, body_of, lines_of, read_csv, read_parquet, searched, table_row
from tests.storing import new_key, new_tenant, new_token, store
from tests.web import wait_until


@pytest.fixture(autouse=True)
def storage(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty storage, and no job of another test's that would take the room. An attempt looks ten times a second whether it is to go on."""
    monkeypatch.setattr(running, "BEAT_SECONDS", 0.1)
    settings.AUDITLOG_EXPORT_URL = tmp_path.joinpath("exports").as_uri()
    ExportJob.objects.all().delete()
    return tmp_path / "exports"


@pytest.fixture
def tenant() -> Tenant:
    tenant = new_tenant()
    store(tenant, [{"user_id": ("alice", "bob")[number % 2], "message": f"=n{number}"} for number in range(20)])
    return tenant


def files_in(storage: Path) -> list[str]:
    return sorted(str(path.relative_to(storage)) for path in storage.rglob("*") if path.is_file())


def ask(api: Api, **body: Any) -> dict[str, Any]:
    if "q=" not in body.get("query", ""):
        body["query"] = "&".join(filter(None, [body.get("query"), urlencode({"q": NOT_OWN})]))
    answer = api.post(EXPORTS, {"format": "ndjson"} | body)
    assert answer.status_code == 202, answer.content
    job: dict[str, Any] = answer.json()
    assert answer["Location"] == f"{EXPORTS}/{job['id']}"
    assert job["state"] == "queued"
    return job


def carry_out(api: Api, **body: Any) -> dict[str, Any]:
    """A job that was run in this process, as its asker sees it."""
    id = ask(api, **body)["id"]
    running.run(uuid.UUID(id))
    return look(api, id)


def look(api: Api, id: str) -> dict[str, Any]:
    answer = api.get(f"{EXPORTS}/{id}")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def download(job: dict[str, Any]) -> bytes:
    """The file, by its link alone."""
    answer = PostedApi(None).get(job["file"]["url"])
    assert answer["Cache-Control"] == "no-store"
    return body_of(answer)


def grow_old(id: str, **fields: datetime.datetime) -> None:
    ExportJob.objects.filter(pk=id).update(**fields)


@contextmanager
def run_that_waits(id: str) -> Iterator[threading.Thread]:
    """The job runs in a thread and comes to no entry during the block: a partition is locked, and not the one that entries go to."""

    def work() -> None:
        try:
            running.run(uuid.UUID(id))
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT auditlog.ensure_partition(now() - interval '80 days', 90)")
    with transaction.atomic("maintenance"), connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT name FROM auditlog.logs_partitions ORDER BY lower_at LIMIT 1")
        cursor.execute(sql.SQL("LOCK TABLE auditlog.{} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(cursor.fetchone()[0])))
        thread.start()
        wait_until(lambda: ExportJob.objects.get(pk=id).state == ExportState.RUNNING, "the job runs")
        yield thread
    thread.join(60)
    assert not thread.is_alive()


def test_job_makes_the_file_and_its_manifest(tenant: Tenant, storage: Path) -> None:
    api = service_of(tenant)
    job = carry_out(api, query="user_id=alice&severity_min=INFO", order="asc", limit=7)
    content = download(job)
    assert lines_of(content) == searched(api, user_id="alice")[::-1][:7]
    digest = hashlib.sha256(content).hexdigest()
    assert (job["state"], job["entries_written"], job["bytes_written"], job["attempts"]) == ("done", 7, len(content), 1)
    assert (job["file"]["sha256"], job["file"]["bytes"], job["file"]["name"].startswith(f"entries-{tenant.slug}-")) == (digest, len(content), True)
    assert storage.stat().st_mode & 0o077 == 0
    [data, manifest] = files_in(storage)
    assert data.startswith(f"{tenant.id}/{job['id']}/")
    written = json.loads((storage / manifest).read_bytes())
    assert written == job["manifest"]
    assert written["question"] == f"user_id=alice&severity_min=INFO&{urlencode({'q': NOT_OWN})}"
    assert (written["sha256"], written["entries"], written["tree_size"]) == (digest, 7, 0)


@pytest.mark.parametrize("format", ["json", "csv", "parquet"])
def test_other_formats_are_made_alike(tenant: Tenant, format: str) -> None:
    api = service_of(tenant)
    content = download(carry_out(api, format=format))
    if format == "json":
        assert json.loads(content)["entries"] == searched(api)
    else:
        assert (read_csv if format == "csv" else read_parquet)(content) == [table_row(entry) for entry in searched(api)]


def test_compressed_file_is_hashed_as_it_is_downloaded(tenant: Tenant) -> None:
    api = service_of(tenant)
    job = carry_out(api, compression="zstd")
    content = download(job)
    assert job["manifest"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert lines_of(zstandard.ZstdDecompressor().decompressobj().decompress(content)) == searched(api)
    assert job["file"]["name"].endswith(".ndjson.zst")


@pytest.mark.parametrize(
    ("body", "code", "fault", "pointer"),
    [
        ({}, "invalid", "required", "/format"),
        ({"format": "xml"}, "invalid", "invalid_choice", "/format"),
        ({"format": "evidence"}, "invalid", "invalid_choice", "/format"),
        ({"format": "csv", "compression": "rar"}, "invalid", "invalid_choice", "/compression"),
        ({"format": "parquet", "compression": "gzip"}, "invalid", "compressed_already", "/compression"),
        ({"format": "csv", "order": 1}, "invalid", "invalid_choice", "/order"),
        ({"format": "csv", "limit": 0}, "invalid", "min_value", "/limit"),
        ({"format": "csv", "limit": 2**63}, "invalid", "max_value", "/limit"),
        ({"format": "csv", "query": ["x"]}, "invalid", "invalid", "/query"),
        ({"format": "csv", "query": "x" * 100_000}, "invalid", "max_length", "/query"),
        ({"format": "csv", "filters": {}}, "invalid", "unknown_field", "/filters"),
        ({"format": "csv", "query": "usr_id=x"}, "invalid_query", "unknown_parameter", "/query"),
        ({"format": "csv", "query": "from=yesterday"}, "invalid_query", "bad_timestamp", "/query"),
        ({"format": "csv", "query": "q=user:alice+("}, "invalid_query", "unexpected", "/query"),
        ({"format": "csv", "query": "limit=5"}, "invalid_query", "unknown_parameter", "/query"),
        ([], "invalid", "wrong_type", ""),
    ],
)
def test_wrong_request_is_refused_before_there_is_a_job(tenant: Tenant, body: Any, code: str, fault: str, pointer: str) -> None:
    assert_refused(service_of(tenant).post(EXPORTS, body), 422, code, fault=fault, pointer=pointer)
    assert not ExportJob.objects.exists()


def test_body_that_is_no_json_or_has_too_many_fields_is_refused(tenant: Tenant) -> None:
    api = service_of(tenant)
    assert api.post(EXPORTS, b"{").status_code == 400
    assert api.post(EXPORTS, {"format": "csv", "query": "&".join("user_id=a" for _ in range(2000))}).status_code in (400, 422)
    assert_refused(api.post(f"{EXPORTS}?x=1", {"format": "csv"}), 422, "invalid_query", fault="unknown_parameter")
    assert not ExportJob.objects.exists()


def test_only_so_many_are_under_way(tenant: Tenant, settings: Any) -> None:
    settings.AUDITLOG_EXPORT_JOBS_WAITING = 2
    api = service_of(tenant)
    first = ask(api)["id"]
    ask(api)
    refused = api.post(EXPORTS, {"format": "ndjson"})
    assert_refused(refused, 429, "too_many_requests")
    assert refused["Retry-After"]
    assert ExportJob.objects.count() == 2
    # Somebody else's are their own.
    ask(PostedApi(new_token(tenant, Role.AUDITOR)))
    assert api.send("DELETE", f"{EXPORTS}/{first}").status_code == 204
    ask(api)


def test_each_sees_own_jobs_and_admins_all(tenant: Tenant) -> None:
    admin, auditor, user, key = (
        PostedApi(new_token(tenant, Role.ADMIN)),
        PostedApi(new_token(tenant, Role.AUDITOR)),
        PostedApi(new_token(tenant, Role.USER, "bob")),
        service_of(tenant),
    )
    mallory = PostedApi(new_token(new_tenant(), Role.ADMIN))
    ids = {name: ask(api)["id"] for name, api in {"admin": admin, "auditor": auditor, "user": user, "key": key}.items()}
    assert [job["id"] for job in admin.get(EXPORTS).json()["results"]] == list(reversed(ids.values()))
    for name, api in {"auditor": auditor, "user": user, "key": key}.items():
        assert [job["id"] for job in api.get(EXPORTS).json()["results"]] == [ids[name]]
        for method in ("GET", "DELETE"):
            assert_refused(api.send(method, f"{EXPORTS}/{ids['admin']}"), 404, "not_found")
    assert mallory.get(EXPORTS).json() == {"results": [], "next": None}
    for id in ids.values():
        assert_refused(mallory.get(f"{EXPORTS}/{id}"), 404, "not_found")
        assert_refused(mallory.send("DELETE", f"{EXPORTS}/{id}"), 404, "not_found")
    assert ExportJob.objects.filter(state=ExportState.QUEUED).count() == 4
    assert_refused(admin.get(f"{EXPORTS}/nonsense"), 404, "not_found")


def test_list_goes_on_page_by_page(tenant: Tenant, settings: Any) -> None:
    settings.AUDITLOG_EXPORT_JOBS_WAITING = 5
    api = service_of(tenant)
    ids = [ask(api)["id"] for _ in range(5)]
    found, path = [], f"{EXPORTS}?limit=2"
    while path:
        page = api.get(path).json()
        found += [job["id"] for job in page["results"]]
        path = page["next"]
    assert found == ids[::-1]
    assert_refused(api.get(EXPORTS, cursor="nonsense"), 422, "invalid_query", fault="bad_cursor")
    assert_refused(api.get(EXPORTS, limit="0"), 422, "invalid_query", fault="bad_limit")


def test_role_user_exports_own_entries(tenant: Tenant) -> None:
    user = PostedApi(new_token(tenant, Role.USER, "bob"))
    assert lines_of(download(carry_out(user))) == searched(user)
    assert lines_of(download(carry_out(user, query="user_id=alice"))) == []


def test_key_that_was_revoked_meanwhile_exports_nothing(tenant: Tenant, storage: Path) -> None:
    key = new_key(tenant)
    id = ask(PostedApi(key))["id"]
    ApiKey.objects.filter(prefix=key.split("_")[1]).update(revoked_at=timezone.now())
    running.run(uuid.UUID(id))
    job = look(PostedApi(new_token(tenant, Role.ADMIN)), id)
    assert (job["state"], job["error"]["code"]) == ("failed", "rights_lost")
    assert files_in(storage) == []


@pytest.mark.parametrize("change", ["role", "membership", "user", "tenant", "grant"])
def test_person_who_loses_the_right_meanwhile_gets_nothing(tenant: Tenant, storage: Path, change: str) -> None:
    id = ask(PostedApi(new_token(tenant, Role.AUDITOR)))["id"]
    job = ExportJob.objects.get(pk=id)
    assert job.asked_by_user_id is not None
    with run_that_waits(id) as thread:
        members = Membership.objects.filter(tenant=tenant, user_id=job.asked_by_user_id)
        match change:
            case "role":
                members.update(role=Role.USER)
            case "membership":
                members.delete()
            case "user":
                User.objects.filter(pk=job.asked_by_user_id).update(is_active=False)
            case "grant":
                members.update(grant=new_grant(tenant, resource_types=["invoice"], may_export=True))
            case _:
                Tenant.objects.filter(pk=tenant.pk).update(is_active=False)
        # Within seconds, though nothing can be read.
        thread.join(20)
        assert not thread.is_alive()
    job.refresh_from_db()
    assert (job.state, job.error_code) == (ExportState.FAILED, "rights_lost")
    assert files_in(storage) == []


GRANT_CHANGES: list[dict[str, Any]] = [{"forced_query": "user:bob"}, {"may_export": False}, {"may_decrypt": False}, {"is_active": False}]


@pytest.mark.parametrize(
    ("change", "is_viewer"),
    # A viewer never decrypts, so to it that is no change.
    [(change, is_viewer) for change in GRANT_CHANGES for is_viewer in (False, True) if not (is_viewer and "may_decrypt" in change)],
)
def test_job_whose_askers_grant_changes_meanwhile_is_cut(tenant: Tenant, storage: Path, change: dict[str, Any], is_viewer: bool) -> None:
    grant = new_grant(tenant, forced_query="user:alice", may_export=True, may_decrypt=True)
    key = granted_key(tenant, grant)
    id = ask(viewer(tenant, "user:alice", minter=key, may_export=True) if is_viewer else PostedApi(key))["id"]
    with run_that_waits(id) as thread:
        AccessGrant.objects.filter(pk=grant.pk).update(**change)
        thread.join(20)
        assert not thread.is_alive()
    job = ExportJob.objects.get(pk=id)
    assert (job.state, job.error_code, job.entries_written) == (ExportState.FAILED, "rights_lost", 0)
    assert files_in(storage) == []


def test_job_of_a_viewer_holds_what_it_sees(tenant: Tenant) -> None:
    job = carry_out(viewer(tenant, "user:alice", may_export=True))
    assert {line["user_id"] for line in lines_of(download(job))} == {"alice"}


def test_job_that_waits_is_refused_when_its_asker_sees_something_else(tenant: Tenant, storage: Path) -> None:
    key = granted_key(tenant, new_grant(tenant, forced_query="user:alice", may_export=True))
    id = ask(PostedApi(key))["id"]
    # More than before is something else, too: the file would not be what was asked for.
    row = row_of(key)
    row.grant = None
    row.save()
    running.run(uuid.UUID(id))
    forget_principals()
    job = look(PostedApi(key), id)
    assert (job["state"], job["error"]["code"]) == ("failed", "rights_lost")
    assert files_in(storage) == []


def test_file_is_not_opened_to_an_asker_who_sees_less_now(tenant: Tenant) -> None:
    key = new_key(tenant)
    id = carry_out(PostedApi(key))["id"]
    row = row_of(key)
    row.grant = new_grant(tenant, forced_query="user:alice", may_export=True)
    row.save()
    forget_principals()
    assert "file" not in look(PostedApi(key), id)
    # An Admin who sees the whole log may open it; one who does not is not even told of it.
    assert look(PostedApi(new_token(tenant, Role.ADMIN)), id)["file"]
    narrowed = PostedApi(granted_token(tenant, Role.ADMIN, new_grant(tenant, forced_query="user:alice", may_export=True)))
    assert_refused(narrowed.get(f"{EXPORTS}/{id}"), 404, "not_found")


def test_cancelling_one_that_waits_ends_it(tenant: Tenant, storage: Path) -> None:
    api = service_of(tenant)
    id = ask(api)["id"]
    assert api.send("DELETE", f"{EXPORTS}/{id}").status_code == 204
    running.run(uuid.UUID(id))
    assert look(api, id)["state"] == "cancelled"
    assert files_in(storage) == []
    assert api.send("DELETE", f"{EXPORTS}/{id}").status_code == 204
    assert look(api, id)["state"] == "cancelled"


def test_cancelling_one_that_runs_stops_it_within_seconds(tenant: Tenant, storage: Path) -> None:
    api = service_of(tenant)
    id = ask(api)["id"]
    with run_that_waits(id) as thread:
        assert api.send("DELETE", f"{EXPORTS}/{id}").status_code == 204
        thread.join(20)
        assert not thread.is_alive()
    assert look(api, id)["state"] == "cancelled"
    assert files_in(storage) == []


def test_deleting_one_that_is_done_removes_its_file(tenant: Tenant, storage: Path) -> None:
    api = service_of(tenant)
    job = carry_out(api)
    assert len(files_in(storage)) == 2
    assert api.send("DELETE", f"{EXPORTS}/{job['id']}").status_code == 204
    assert files_in(storage) == []
    assert look(api, job["id"])["state"] == "expired"
    assert "file" not in look(api, job["id"])
    assert_refused(PostedApi(None).get(job["file"]["url"]), 404, "not_found")


def test_file_is_removed_when_its_time_is_over(tenant: Tenant, storage: Path) -> None:
    api = service_of(tenant)
    kept, job = carry_out(api), carry_out(api)
    tasks.tend_exports()
    assert len(files_in(storage)) == 4
    grow_old(job["id"], expires_at=timezone.now() - datetime.timedelta(seconds=1))
    tasks.tend_exports()
    assert {path.split("/")[1] for path in files_in(storage)} == {kept["id"]}
    assert look(api, job["id"])["state"] == "expired"
    assert_refused(PostedApi(None).get(job["file"]["url"]), 404, "not_found")
    assert lines_of(download(look(api, kept["id"]))) == searched(api)


def test_worker_that_is_silent_is_followed_by_another_whose_file_counts(tenant: Tenant, storage: Path) -> None:
    api = service_of(tenant)
    id = uuid.UUID(ask(api)["id"])
    silent = jobs.take(id)
    assert silent is not None
    # It had written something; and it is not followed while it may live.
    left = storage / f"{tenant.id}/{id}/{silent.lease}/entries.ndjson#1"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    running.run(id)
    assert look(api, str(id))["attempts"] == 1
    grow_old(str(id), heartbeat_at=timezone.now() - jobs.LEASE * 2)
    assert jobs.due() == [id]
    running.run(id)
    job = look(api, str(id))
    assert (job["state"], job["attempts"], len(files_in(storage))) == ("done", 2, 2)
    # The silent one comes back: it has no say any more.
    assert not jobs.still_has(silent, entries_written=999)
    assert not jobs.end(silent, ExportState.FAILED)
    jobs.put_back(silent, "x")
    assert look(api, str(id)) | {"file": 0} == job | {"file": 0}
    assert lines_of(download(job)) == searched(api)


def test_storage_that_is_away_is_tried_again_and_given_up_in_the_end(tenant: Tenant, settings: Any) -> None:
    good = settings.AUDITLOG_EXPORT_URL
    settings.AUDITLOG_EXPORT_URL = "file:///dev/null/exports"
    api = service_of(tenant)
    job = carry_out(api)
    assert (job["state"], job["attempts"], job["error"]["code"]) == ("queued", 1, "retried")
    # Not at once.
    assert jobs.due() == []
    for _ in range(jobs.MAX_ATTEMPTS):
        grow_old(job["id"], heartbeat_at=timezone.now() - jobs.RETRY_AFTER * 2)
        running.run(uuid.UUID(job["id"]))
    found = look(api, job["id"])
    assert (found["state"], found["attempts"], found["error"]["code"]) == ("failed", jobs.MAX_ATTEMPTS, "gave_up")
    settings.AUDITLOG_EXPORT_URL = good
    assert carry_out(api)["state"] == "done"


def test_question_that_takes_too_long_fails_with_advice(tenant: Tenant, settings: Any) -> None:
    settings.AUDITLOG_EXPORT_READ_SECONDS = 1
    api = service_of(tenant)
    id = ask(api)["id"]
    with run_that_waits(id) as thread:
        thread.join(20)
    found = look(api, id)
    assert (found["state"], found["error"]["code"]) == ("failed", "too_slow")
    assert "`from` and `to`" in found["error"]["detail"]


def test_so_many_run_at_a_time_and_the_next_follows(tenant: Tenant, settings: Any) -> None:
    api = service_of(tenant)
    first, second = (uuid.UUID(ask(api)["id"]) for _ in range(2))
    assert jobs.due() == [first]
    held = jobs.take(first)
    assert held is not None
    assert jobs.take(second) is None
    assert jobs.due() == []
    jobs.end(held, ExportState.FAILED)
    assert jobs.due() == [second]


def test_redis_that_is_away_delays_a_job_and_loses_none(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*arguments: Any, **more: Any) -> None:
        raise OperationalError("no broker")

    monkeypatch.setattr(tasks.run_export, "apply_async", away)
    id = ask(service_of(tenant))["id"]
    assert jobs.due() == [uuid.UUID(id)]


def test_failure_that_nobody_foresaw_is_on_record_without_its_details(tenant: Tenant, storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "catalogue_of", lambda tenant_id: None)
    job = carry_out(service_of(tenant))
    assert (job["state"], job["error"]["code"]) == ("failed", "internal_error")
    assert "Attribute" not in job["error"]["detail"]
    assert files_in(storage) == []


def test_export_is_not_taken_for_an_entry_or_a_job(tenant: Tenant) -> None:
    """`/logs/export` is no entry's id, and the paths of jobs answer no other method."""
    api = service_of(tenant)
    body_of(api.get(EXPORT, format="ndjson"))
    assert api.send("PUT", EXPORTS).status_code == 405
    assert api.send("POST", f"{EXPORTS}/{uuid.uuid4()}/file").status_code == 405
