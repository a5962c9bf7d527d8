"""The benchmarks' entries are what the API takes and what the limits insert; their report says what was measured."""

from __future__ import annotations

import datetime
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import msgspec
import pytest

from benchmarks.cloudtrail import cloudtrail_entries
from benchmarks.limits import NOBODY, column_texts, insert_script
from benchmarks.report import Report, Target, percentile
from benchmarks.rows import SECOND, Entry, application_entries, bulk_bodies, current_second, http_request, single_bodies, stamped
from logs.ingest.entry_input import EntryInput
from logs.storage.columns import BATCH_COLUMNS, ENTRY_COLUMNS

Make: TypeAlias = Callable[[int, int], list[Entry]]
MAKERS: list[Make] = [application_entries, cloudtrail_entries]
NOW = datetime.datetime(2025, 11, 24, 1, 2, 3, tzinfo=datetime.UTC)


@pytest.mark.parametrize("make", MAKERS)
def test_the_same_seed_gives_the_same_entries(make: Make) -> None:
    assert make(7, 200) == make(7, 200)
    assert make(7, 200) != make(8, 200)


@pytest.mark.parametrize("make", MAKERS)
def test_entries_are_what_the_api_takes(make: Make) -> None:
    for body in single_bodies(make(7, 500)):
        msgspec.json.decode(stamped(body, current_second()), type=EntryInput)


@pytest.mark.parametrize(("make", "least", "most"), [(application_entries, 400, 600), (cloudtrail_entries, 1000, 1500)])
def test_entries_are_as_long_as_real_ones(make: Make, least: int, most: int) -> None:
    bodies = single_bodies(make(7, 2000))
    assert least <= sum(map(len, bodies)) / len(bodies) <= most


def test_few_users_do_most() -> None:
    users = Counter(entry["user_id"] for entry in application_entries(7, 5000))
    assert users.most_common(1)[0][1] > 5000 * 0.05
    assert len(users) > 1000


def test_an_update_says_what_it_changed() -> None:
    updates = [entry for entry in application_entries(7, 500) if entry["action"] == "UPDATE"]
    assert updates
    assert all(entry["before"] != entry["after"] for entry in updates)


def test_stamping_puts_the_clock_in_and_keeps_the_length() -> None:
    body = bulk_bodies(application_entries(7, 100), 100)[0]
    done = stamped(body, b"2025-11-24T01:02:03")
    assert len(done) == len(body)
    assert SECOND.encode() not in done
    timestamps = [datetime.datetime.fromisoformat(entry["timestamp"]) for entry in json.loads(done)]
    assert timestamps == sorted(timestamps)
    assert all(moment.replace(microsecond=0) == NOW for moment in timestamps)


def test_the_clock_has_the_length_of_its_place() -> None:
    assert len(current_second()) == len(SECOND)


def test_only_full_batches_are_sent() -> None:
    assert [len(json.loads(body)) for body in bulk_bodies(application_entries(7, 25), 10)] == [10, 10]


def test_a_request_says_how_long_its_body_is() -> None:
    head, _, body = http_request("/api/v1/logs", "Bearer alk_x", b'{"a":1}').partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v1/logs HTTP/1.1\r\n")
    assert b"\r\nContent-Length: 7" in head
    assert body == b'{"a":1}'


@pytest.mark.parametrize("make", MAKERS)
def test_the_limits_have_a_value_for_each_column(make: Make) -> None:
    for entry in make(7, 200):
        texts = column_texts(entry)
        assert list(texts) == list(ENTRY_COLUMNS)
        assert texts["tenant_id"] == NOBODY
        assert (texts["changed_fields"] is None) == ("before" not in entry)


def test_pgbench_finds_no_variables_in_a_script() -> None:
    entry: Entry = {"user_id": "o'hara", "action": "VIEW", "resource_type": "a:b", "metadata": {"a": True, "path": "c:\\d"}}
    script = insert_script(entry)
    assert re.search(r"(?<!:):\w", script) is None
    assert "E'o''hara'" in script
    assert r"""E'{"a"\x3atrue,"path"\x3a"c\x3a\\\\d"}'""" in script
    assert all(f'"{name}"' in script for name in BATCH_COLUMNS)


@pytest.mark.parametrize(("fraction", "expected"), [(0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1, 100)])
def test_percentile_is_the_nearest_rank(fraction: float, expected: int) -> None:
    assert percentile(range(1, 101), fraction) == expected


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def _report() -> Report:
    return Report(
        benchmark="bulk",
        postgresql="18.0",
        params={"connections": 4},
        figures={"entries_per_s": 15_000.04, "by_batch": {"1": 900.0}},
        limits={"raw_copy_entries_per_s": 40_000.0},
        ratios={"of_raw_copy": 0.37512},
        targets={"entries_per_s": Target(least=15_000), "of_raw_copy": Target(least=0.5), "by_batch.1": Target(below=900)},
    )


def test_the_json_has_the_documented_form() -> None:
    written = json.loads(json.dumps(_report().as_json(NOW)))
    assert list(written) == ["benchmark", "commit", "date", "machine", "params", "figures", "limits", "ratios"]
    assert set(written["machine"]) == {"cores", "memory_gib", "python", "postgresql"}
    assert written["date"] == "2025-11-24T01:02:03+00:00"
    assert written["figures"] == {"entries_per_s": 15_000.0, "by_batch": {"1": 900.0}}
    assert written["ratios"] == {"of_raw_copy": 0.375}


def test_the_table_says_which_targets_were_met() -> None:
    lines = _report().table().splitlines()
    assert any("entries_per_s" in line and line.endswith("≥ 15,000: met") for line in lines)
    assert any("of_raw_copy" in line and line.endswith("≥ 0.5: MISSED") for line in lines)
    assert any("by_batch.1" in line and line.endswith("< 900: MISSED") for line in lines)
