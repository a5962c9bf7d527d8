"""A segment that is altered, cut off, missing or out of reach: said, and never a shorter answer."""

from __future__ import annotations

import datetime
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Tenant
from archival.cold import files
from archival.models import Segment
from logs.export import running
from logs.models import ExportJob
from logs.storage import objects
from logs.storage.ids import floor_id
from tests.api import LOGS, Api, assert_refused
from tests.archiving import archive, archive_at, file_of
from tests.exporting import EXPORT, EXPORTS
from tests.sequencing import sequence_all
from tests.storing import new_key, new_tenant, store

START = datetime.datetime(2025, 6, 1, tzinfo=datetime.UTC)
COUNT = 60


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[Tenant]:
    tenant = new_tenant()
    entries = [
        {"timestamp": (START + datetime.timedelta(hours=number)).isoformat(), "user_id": f"u{number % 5}", "message": f"number {number}"}
        for number in range(COUNT)
    ]
    store(tenant, entries)
    sequence_all()
    with archive_at(tmp_path / "archive"):
        yield tenant


@pytest.fixture
def segment(tenant: Tenant) -> Segment:
    return archive(tenant, high=floor_id(START + datetime.timedelta(hours=40)), group_rows=10)


def forget() -> None:
    """As another process, which has read no footer yet."""
    files._footers = files.Footers(files.MAX_KEPT_BYTES)


QUESTIONS: list[dict[str, str]] = [{}, {"user_id": "u3"}, {"q": "number"}, {"q": "absent OR number"}, {"severity": "INFO"}, {"archived": "only"}]


def asked(api: Api, **query: str) -> Any:
    # Without the entries that the log makes of these questions.
    return api.get(LOGS, limit=100, to="2025-12-31T00:00:00Z", **query)


def test_no_altered_byte_goes_unnoticed_or_changes_an_answer(tenant: Tenant, segment: Segment) -> None:
    """Flipped one at a time: the answer is what it was, or there is none."""
    api, path, chances = Api(new_key(tenant)), file_of(segment), random.Random(15)
    content = path.read_bytes()
    right = [asked(api, **question).json()["results"] for question in QUESTIONS]
    assert len(right[0]) == COUNT
    footer_bytes = int.from_bytes(content[-8:-4], "little")
    places = {*chances.sample(range(len(content)), 70), *chances.sample(range(len(content) - 8 - footer_bytes, len(content)), 20)}
    refused = 0
    for place in sorted(places):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << chances.randrange(8)]) + content[place + 1 :])
        forget()
        for question, entries in zip(QUESTIONS[:3], right, strict=False):
            answer = asked(api, **question)
            if answer.status_code == 200:
                assert answer.json()["results"] == entries, place
            else:
                assert_refused(answer, 503, "archive_unavailable")
                refused += 1
        if place >= len(content) - 8 - footer_bytes:
            assert answer.status_code == 503, place
    assert refused > len(places)
    path.write_bytes(content)
    forget()
    assert asked(api).json()["results"] == right[0]


@pytest.mark.parametrize("how", ["missing", "cut off", "another's", "storage away"])
def test_what_can_not_be_read_is_told_by_every_reader(tenant: Tenant, segment: Segment, how: str, settings: Any) -> None:
    api, path = Api(new_key(tenant)), file_of(segment)
    content, away = path.read_bytes(), settings.AUDITLOG_ARCHIVE_URL
    match how:
        case "missing":
            path.unlink()
        case "cut off":
            path.write_bytes(content[:-100])
        case "another's":
            other = new_tenant()
            store(other, [{"timestamp": START.isoformat()}] * 40)
            sequence_all()
            path.write_bytes(file_of(archive(other)).read_bytes())
        case "storage away":
            settings.AUDITLOG_ARCHIVE_URL = "file:///dev/null/archive"
    forget()
    id = str(segment.max_id)
    for question in QUESTIONS:
        problem = assert_refused(asked(api, **question), 503, "archive_unavailable")
        assert problem["segment"] == str(segment.pk)
    assert_refused(api.get(f"{LOGS}/{id}"), 503, "archive_unavailable")
    assert_refused(api.get(f"{LOGS}/{id}/proof"), 503, "archive_unavailable")
    assert_refused(api.get(EXPORT, format="csv", order="asc"), 503, "archive_unavailable")
    # What is hot is found all the same.
    assert len(asked(api, archived="exclude").json()["results"]) == COUNT - 40
    newest = asked(api, **{"from": (START + datetime.timedelta(hours=40)).isoformat()})
    assert len(newest.json()["results"]) == COUNT - 40
    # A page that ends before the segment begins is whole, and costs it nothing.
    assert len(api.get(LOGS, limit=19, to="2025-12-31T00:00:00Z").json()["results"]) == 19
    settings.AUDITLOG_ARCHIVE_URL = away
    path.write_bytes(content)
    forget()
    assert len(asked(api).json()["results"]) == COUNT


def test_job_waits_for_an_archive_that_is_away(tenant: Tenant, segment: Segment, settings: Any, tmp_path: Path) -> None:
    settings.AUDITLOG_EXPORT_URL = (tmp_path / "exports").as_uri()
    api, path = Api(new_key(tenant)), file_of(segment)
    id = api.post(EXPORTS, {"format": "ndjson", "query": "q=-source:auditlog"}).json()["id"]
    hidden = path.rename(path.with_suffix(".hidden"))
    running.run(uuid.UUID(id))
    job = api.get(f"{EXPORTS}/{id}").json()
    assert (job["state"], "file" in job) == ("queued", False)
    assert "can't be read" in job["error"]["detail"]
    hidden.rename(path)
    ExportJob.objects.filter(pk=id).update(heartbeat_at=None)
    running.run(uuid.UUID(id))
    job = api.get(f"{EXPORTS}/{id}").json()
    assert (job["state"], job["entries_written"]) == ("done", COUNT)


def test_job_tells_how_far_it_has_looked(tenant: Tenant, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AUDITLOG_EXPORT_URL = (tmp_path / "exports").as_uri()
    archive(tenant, group_rows=1)
    api = Api(new_key(tenant))
    id = api.post(EXPORTS, {"format": "ndjson", "query": "q=absent&archived=only"}).json()["id"]
    monkeypatch.setattr(running, "BEAT_SECONDS", 0.005)
    running.run(uuid.UUID(id))
    job = api.get(f"{EXPORTS}/{id}").json()
    assert (job["state"], job["entries_written"]) == ("done", 0)
    assert START.isoformat() <= job["searched_to"] <= (START + datetime.timedelta(hours=COUNT)).isoformat()


def test_question_that_takes_too_long_is_refused_with_a_way_out(tenant: Tenant, segment: Segment, settings: Any) -> None:
    settings.AUDITLOG_SEARCH_TIMEOUT_SECONDS = 0.000_001
    problem = assert_refused(asked(Api(new_key(tenant)), archived="only", q="absent"), 422, "too_expensive")
    assert "/api/v1/exports" in problem["detail"]
    assert "searched_to" in problem


def test_page_reads_what_it_shows(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """No segment is downloaded as a whole: neither for a page, nor for an id, nor for what its statistics rule out."""
    big = archive(tenant, group_rows=2)
    read: list[int] = []
    inner = objects.read_range

    def counted(store: Any, path: str, start: int, stop: int) -> bytes:
        read.append(stop - start)
        return inner(store, path, start, stop)

    monkeypatch.setattr(objects, "read_range", counted)
    api, footer_bytes = Api(new_key(tenant)), 0
    forget()
    assert asked(api, action="NEVER").json()["results"] == []
    footer_bytes = sum(read)
    assert footer_bytes <= files.TAIL_BYTES
    read.clear()
    assert asked(api, action="NEVER").json()["results"] == []
    assert read == []
    assert len(api.get(LOGS, limit=3, archived="only").json()["results"]) == 3
    assert sum(read) < big.size_bytes / 5
    read.clear()
    assert api.get(f"{LOGS}/{big.min_id}").status_code == 200
    assert sum(read) < big.size_bytes / 5


def test_another_tenants_segments_are_never_opened(tenant: Tenant, segment: Segment) -> None:
    mallory = new_tenant()
    file_of(segment).unlink()
    forget()
    answer = Api(new_key(mallory)).get(LOGS, archived="only")
    assert (answer.status_code, answer.json()["results"]) == (200, [])
    assert Api(new_key(mallory)).get(f"{LOGS}/{segment.min_id}").status_code == 404
