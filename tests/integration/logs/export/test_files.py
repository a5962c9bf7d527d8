"""The link to a job's file: opens that file alone, for its time alone, whole or in parts."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from accounts.models import Tenant
from logs.export import files, running
from logs.models import ExportJob
from tests.api import Api, assert_refused, service_of
from tests.exporting import EXPORTS, body_of
from tests.storing import new_tenant, store


@pytest.fixture(scope="module")
def jobs(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Finished jobs of two tenants."""
    ExportJob.objects.all().delete()
    found = []
    for _ in range(2):
        tenant = new_tenant()
        store(tenant, [{"message": "x" * 200}] * 30)
        api = service_of(tenant)
        id = api.post(EXPORTS, {"format": "ndjson"}).json()["id"]
        running.run(uuid.UUID(id))
        found.append(api.get(f"{EXPORTS}/{id}").json())
    return found


@pytest.fixture(scope="module")
def url(jobs: list[dict[str, Any]]) -> str:
    return str(jobs[0]["file"]["url"])


@pytest.fixture(scope="module")
def content(url: str) -> bytes:
    return body_of(Api(None).get(url))


def get(url: str, **headers: str) -> Any:
    return Api(None, **{name.replace("_", "-"): value for name, value in headers.items()}).get(url)


def test_file_says_what_it_is(jobs: list[dict[str, Any]], url: str, content: bytes) -> None:
    answer = get(url)
    assert body_of(answer) == content
    assert answer["ETag"] == f'"{jobs[0]["file"]["sha256"]}"'
    assert (answer["Accept-Ranges"], answer["Content-Length"]) == ("bytes", str(len(content)))
    assert answer["Content-Disposition"] == f'attachment; filename="{jobs[0]["file"]["name"]}"'
    head = Api(None).send("HEAD", url)
    assert (head.status_code, head["Content-Length"]) == (200, str(len(content)))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.integers(0, 8000), some.integers(0, 8000))
def test_parts_are_those_of_the_file(url: str, content: bytes, first: int, length: int) -> None:
    first %= len(content)
    answer = get(url, Range=f"bytes={first}-{first + length}")
    part = b"".join(answer)
    assert answer.status_code == 206
    assert part == content[first : first + length + 1]
    assert answer["Content-Range"] == f"bytes {first}-{first + len(part) - 1}/{len(content)}"
    assert answer["Content-Length"] == str(len(part))


def test_download_goes_on_where_it_stopped_if_the_file_is_the_same(url: str, content: bytes) -> None:
    etag = get(url)["ETag"]
    assert b"".join(get(url, Range="bytes=-5", If_Range=etag)) == content[-5:]
    other = get(url, Range="bytes=-5", If_Range='"another"')
    assert (other.status_code, b"".join(other)) == (200, content)


def test_range_behind_the_end_is_refused(url: str, content: bytes) -> None:
    answer = get(url, Range=f"bytes={len(content)}-")
    assert_refused(answer, 416, "range_not_satisfiable")
    assert answer["Content-Range"] == f"bytes */{len(content)}"


def test_blocks_of_the_storage_are_put_together(url: str, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(files, "PIECE_BYTES", 300)
    assert body_of(get(url)) == content
    assert b"".join(get(url, Range="bytes=999-2001")) == content[999:2002]


def test_link_opens_nothing_else(jobs: list[dict[str, Any]], url: str) -> None:
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    right = query["signature"]
    other = jobs[1]["file"]["url"]
    wrong = [
        parts.path,
        f"{parts.path}?expires={query['expires']}",
        f"{parts.path}?expires={int(query['expires']) + 1}&signature={right}",
        f"{parts.path}?expires={query['expires']}&signature={right[:-1]}{'0' if right[-1] != '0' else '1'}",
        f"{parts.path}?expires={query['expires']}&signature=",
        f"{parts.path}?expires={query['expires']}&signature=%ff%00",
        f"{parts.path}?expires=never&signature={right}",
        f"{parts.path}?expires={'9' * 40}&signature={right}",
        # One job's signature on another's path, and on the path of none.
        f"{parts.path}?{urlsplit(other).query}",
        f"{urlsplit(other).path}?{parts.query}",
        f"{EXPORTS}/{uuid.uuid4()}/file?{parts.query}",
        f"{EXPORTS}/nonsense/file?{parts.query}",
    ]
    for path in wrong:
        answer = Api(None).send("GET", path)
        assert answer.status_code in (403, 422), (path, answer.content)
        assert answer["Content-Type"] == "application/problem+json"


def test_link_expires(jobs: list[dict[str, Any]]) -> None:
    job = ExportJob.objects.get(pk=jobs[0]["id"])
    moment = int(time.time()) - 1
    path = f"{EXPORTS}/{job.id}/file?expires={moment}&signature={files.signature_of(job.tenant_id, job.id, moment)}"
    assert "expired" in assert_refused(Api(None).get(path), 403, "not_allowed")["detail"]
    # The same job and moment in another tenant is another link.
    later = moment + 1000
    stolen = f"{EXPORTS}/{job.id}/file?expires={later}&signature={files.signature_of(uuid.uuid4(), job.id, later)}"
    assert_refused(Api(None).get(stolen), 403, "not_allowed")


def test_credentials_do_not_matter(url: str, content: bytes) -> None:
    assert body_of(Api("alk_wrong").get(url)) == content


def test_link_of_a_tenant_that_is_not_active_opens_nothing(jobs: list[dict[str, Any]]) -> None:
    job = ExportJob.objects.get(pk=jobs[1]["id"])
    Tenant.objects.filter(pk=job.tenant_id).update(is_active=False)
    assert_refused(Api(None).get(jobs[1]["file"]["url"]), 404, "not_found")
    Tenant.objects.filter(pk=job.tenant_id).update(is_active=True)


def test_file_that_is_not_there_and_storage_that_is_away_are_told(jobs: list[dict[str, Any]], url: str, settings: Any, tmp_path: Path) -> None:
    settings.AUDITLOG_EXPORT_URL = tmp_path.as_uri()
    assert_refused(Api(None).get(url), 404, "not_found")
    settings.AUDITLOG_EXPORT_URL = "file:///dev/null/exports"
    answer = Api(None).get(url)
    assert_refused(answer, 503, "unavailable")
