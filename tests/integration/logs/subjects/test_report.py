"""Subject reports: everything that the log holds on one person, as a page, for machines, and with what proves that it is whole."""

from __future__ import annotations

import hashlib
import io
import json
import tracemalloc
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Membership, Role, Tenant
from auditlog_verify.notes import Note
from logs import catalogue
from logs.export import running
from logs.models import ExportJob, LogSettings
from tests.api import LOGS, Api, assert_refused
from tests.erasing import CLEAR, erase, post
from tests.exporting import EXPORTS, body_of, lines_of, searched
from tests.sequencing import sequence_all
from tests.storing import new_key, new_tenant, new_token, store

REPORTS = "/api/v1/subject-reports"


@pytest.fixture(autouse=True)
def storage(settings: Any, tmp_path: Path) -> Path:
    settings.AUDITLOG_EXPORT_URL = tmp_path.joinpath("exports").as_uri()
    settings.AUDITLOG_ANCHOR_URL = tmp_path.joinpath("anchor").as_uri()
    ExportJob.objects.all().delete()
    return tmp_path / "exports"


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


def ask(api: Api, subject: str = "carol", **body: Any) -> dict[str, Any]:
    answer = api.post(REPORTS, {"subject": subject} | body)
    assert answer.status_code == 202, answer.content
    job: dict[str, Any] = answer.json()
    assert answer["Location"] == f"{EXPORTS}/{job['id']}"
    return job


class Report:
    """A report that was made, as whoever has its link finds it."""

    def __init__(self, api: Api, job: dict[str, Any]) -> None:
        running.run(uuid.UUID(job["id"]))
        self.job = api.get(f"{EXPORTS}/{job['id']}").json()
        assert self.job["state"] == "done", self.job
        answer = Api(None).get(self.job["file"]["url"])
        assert (answer["Content-Type"], "carol" in answer["Content-Disposition"]) == ("application/zip", False)
        self.content = body_of(answer)
        assert hashlib.sha256(self.content).hexdigest() == self.job["file"]["sha256"]
        with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
            assert archive.testzip() is None
            self.members = {name: archive.read(name) for name in archive.namelist()}
        assert list(self.members) == ["report.html", "entries.ndjson", "manifest.json"]
        self.page = self.members["report.html"].decode()
        self.entries = lines_of(self.members["entries.ndjson"])
        self.manifest = json.loads(self.members["manifest.json"])


def report(api: Api, subject: str = "carol", **body: Any) -> Report:
    return Report(api, ask(api, subject, **body))


def test_report_holds_every_entry_of_the_subject_as_the_api_gives_it(tenant: Tenant, admin: Api) -> None:
    for number in range(5):
        post(admin, timestamp=f"2026-01-{10 + number:02}T12:00:00Z", metadata={"n": number})
    post(admin, user_id="dave", after={"x": "of-dave"})
    sequence_all()
    found = report(admin)
    assert found.entries == searched(admin, user_id="carol")
    assert [entry["after"] for entry in found.entries] == [CLEAR] * 5
    assert "of-dave" not in found.page
    for number in range(5):
        assert found.page.count(f"<h2>2026-01-{10 + number:02}</h2>") == 1
    assert found.page.count(CLEAR["iban"]) == 5
    assert "<th>Entries</th><td>5</td>" in found.page


def test_manifest_says_what_the_files_are_and_who_asked(tenant: Tenant, admin: Api) -> None:
    post(admin)
    sequence_all()
    found = report(admin, query="action=UPDATE", order="asc")
    assert found.manifest["files"] == [{"name": name, "sha256": hashlib.sha256(found.members[name]).hexdigest()} for name in ("report.html", "entries.ndjson")]
    assert (found.manifest["subject"], found.manifest["entries"], found.manifest["question"]) == ("carol", 1, "action=UPDATE")
    assert found.manifest["asked_by"] == found.job["asked_by"] != ""
    assert Note.decode(found.manifest["checkpoint"]).text.split("\n")[1] == str(found.manifest["tree_size"])
    for told in (found.job["asked_by"], "action=UPDATE", found.manifest["made_at"], found.manifest["asked_at"]):
        assert told in found.page


def test_page_shows_hostile_text_inert(tenant: Tenant, admin: Api) -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=y>\"'&\x1b[31m\u202e\u200b"
    post(admin, message=hostile, resource_id=hostile, metadata={hostile: [hostile]})
    found = report(admin)
    for tag in ("<script", "<img", "onerror=y>", "javascript:", "\x1b", "\u202e", "\u200b"):
        assert tag not in found.page
    assert "&lt;script&gt;alert(1)" in found.page
    assert "\\u202e" in found.page
    assert "default-src &#x27;none&#x27;" in found.page or "default-src 'none'" in found.page
    assert found.entries[0]["message"] == hostile


def test_report_on_nobody_is_whole_and_empty(tenant: Tenant, admin: Api) -> None:
    found = report(admin, "nobody <b>")
    assert (found.entries, found.manifest["entries"]) == ([], 0)
    assert "nobody &lt;b&gt;" in found.page


def settle(tenant: Tenant, **values: Any) -> None:
    LogSettings.objects.update_or_create(pk=tenant.id, defaults=values)
    catalogue.forget()


def test_subject_key_leads_to_the_subject(tenant: Tenant, admin: Api) -> None:
    post(admin, user_id="carol", metadata={"n": 1})
    settle(tenant, subject_key="customer")
    post(admin, user_id="agent", metadata={"customer": "carol", "n": 2})
    post(admin, user_id="agent", metadata={"customer": "dave", "n": 3})
    assert sorted(entry["metadata"]["n"] for entry in report(admin).entries) == [1, 2]


def test_pseudonym_leads_to_the_subject_until_they_are_erased(tenant: Tenant, admin: Api) -> None:
    post(admin, metadata={"n": 1})
    settle(tenant, pseudonymises_users=True)
    post(admin, metadata={"n": 2})
    post(admin, user_id="dave", metadata={"n": 3})
    assert sorted(entry["metadata"]["n"] for entry in report(admin).entries) == [1, 2]
    erase(admin)
    # What names them still is still about them; the rest is nobody's any more.
    assert [entry["metadata"]["n"] for entry in report(admin).entries] == [1]


def test_report_after_an_erasure_shows_that_it_is_erased(tenant: Tenant, admin: Api, storage: Path) -> None:
    post(admin)
    before = report(admin)
    assert CLEAR["iban"] in before.page
    assert erase(admin)["exports_removed"] == [before.job["id"]]
    assert admin.get(f"{EXPORTS}/{before.job['id']}").json()["state"] == "expired"
    found = report(admin)
    assert found.entries[0]["after"] == {"encrypted": True, "erased": True}
    assert CLEAR["iban"] not in found.page


def test_who_asked_about_whom_is_recorded(tenant: Tenant, admin: Api) -> None:
    post(admin)
    job = ask(admin)
    [act] = admin.get(LOGS, resource_type="audit_log_subject").json()["results"]
    assert (act["action"], act["resource_id"], act["metadata"]["subject"], act["outcome"]) == ("EXPORT", job["id"], "carol", "success")


def test_where_users_are_pseudonymised_the_record_names_no_one(tenant: Tenant, admin: Api) -> None:
    settle(tenant, pseudonymises_users=True)
    post(admin)
    ask(admin)
    [act] = admin.get(LOGS, resource_type="audit_log_subject").json()["results"]
    assert act["metadata"]["subject"].startswith("p_")
    assert "carol" not in str(act)


def test_erasure_takes_the_name_out_of_the_records_of_reports(tenant: Tenant, admin: Api) -> None:
    settle(tenant, pseudonymises_users=True)
    post(admin)
    found = report(admin)
    erase(admin)
    assert "carol" not in str(admin.get(f"{EXPORTS}/{found.job['id']}").json())


def test_who_may_not_decrypt_or_sees_only_themselves_gets_no_report(tenant: Tenant, admin: Api) -> None:
    post(admin)
    for api in (Api(new_token(tenant, Role.USER, "carol")), Api(new_key(tenant, "logs:read")), Api(new_key(tenant, "logs:write"))):
        problem = assert_refused(api.post(REPORTS, {"subject": "carol"}), 403, "not_allowed")
        assert "planted" not in str(problem)
    assert not ExportJob.objects.filter(tenant=tenant).exists()


def test_rights_that_are_lost_before_it_is_made_end_it(tenant: Tenant, storage: Path) -> None:
    auditor = Api(new_token(tenant, Role.AUDITOR))
    post(Api(new_token(tenant, Role.ADMIN)))
    job = ask(auditor)
    Membership.objects.filter(tenant=tenant, role=Role.AUDITOR).update(role=Role.USER)
    running.run(uuid.UUID(job["id"]))
    row = ExportJob.objects.get(pk=job["id"])
    assert (row.state, row.error_code, [path for path in storage.rglob("*") if path.is_file()]) == ("failed", "rights_lost", [])


def test_mallory_gets_a_report_on_her_own_tenants_entries_only(tenant: Tenant, admin: Api) -> None:
    post(admin)
    mallory = Api(new_token(new_tenant(), Role.ADMIN))
    assert report(mallory).entries == []
    own = ask(admin)
    assert_refused(mallory.get(f"{EXPORTS}/{own['id']}"), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/subject"),
        ({"subject": ""}, "/subject"),
        ({"subject": "x" * 513}, "/subject"),
        ({"subject": "carol", "query": "severity=NONE"}, "/query"),
        ({"subject": "carol", "order": "up"}, "/order"),
        ({"subject": "carol", "asked_by": "user:eve"}, "/asked_by"),
    ],
)
def test_wrong_questions_are_refused(tenant: Tenant, admin: Api, body: dict[str, Any], pointer: str) -> None:
    answer = admin.post(REPORTS, body)
    assert_refused(answer, 422, "invalid_query" if pointer == "/query" else "invalid", pointer=pointer)
    assert not ExportJob.objects.filter(tenant=tenant).exists()


@pytest.mark.slow
def test_report_of_20000_entries_takes_bounded_memory(tenant: Tenant, admin: Api) -> None:
    for first in range(0, 20_000, 1_000):
        store(tenant, [{"user_id": "carol", "message": f"{first + number} " + "x" * 500} for number in range(1_000)])
    job = ask(admin)
    tracemalloc.start()
    running.run(uuid.UUID(job["id"]))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    done = admin.get(f"{EXPORTS}/{job['id']}").json()
    assert (done["state"], done["entries_written"]) == ("done", 20_000)
    # The page alone is over 20 MiB.
    assert peak_bytes < 16 * 2**20
    with zipfile.ZipFile(io.BytesIO(body_of(Api(None).get(done["file"]["url"])))) as archive:
        assert archive.getinfo("report.html").file_size > 20 * 2**20
        assert archive.read("entries.ndjson").count(b"\n") == 20_000
