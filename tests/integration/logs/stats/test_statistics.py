"""Statistics against a brute-force count: random entries, some compacted, some sequenced, some still waiting; every range and filter."""

from __future__ import annotations

import datetime
import random
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest
from django_redis.cache import RedisCache
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Tenant
from logs.errors import TooExpensive
from logs.stats import caching, statistics, tally, users
from logs.storage.kinds import OWN_SOURCE
from logs.storage.reading import tenant_snapshot
from tests.api import assert_refused, service_of
from tests.asking import Asking, asking_of
from tests.compacting import compact_all
from tests.sequencing import sequence_all
from tests.storing import new_tenant, store

STATS, FACETS = "/api/v1/logs/stats", "/api/v1/logs/facets"
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC)
TODAY = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
# Compacted to blocks and days; by the hour; hardly compacted at all.
STARTS = (TODAY - 50 * DAY, TODAY - 3 * DAY, NOW - 3 * HOUR)
FIELDS = ("action", "severity", "outcome", "resource_type", "source", "user_id")
SEVERITIES = ["INFO", "WARNING", "ERROR", "CRITICAL"]
USERS = ["alice", "bob", "carol", "Ζωή", 'eve "\\', *(f"user-{number}" for number in range(20))]
Entry = dict[str, Any]


def rfc3339(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def random_entry(chance: random.Random, start: datetime.datetime, end: datetime.datetime) -> Entry:
    moment = start + chance.random() * (end - start)
    if chance.random() < 0.2:
        moment = moment.replace(minute=0, second=0, microsecond=0)
    return {
        "timestamp": rfc3339(min(max(moment, start), NOW)),
        "user_id": chance.choice(USERS[: chance.choice([2, 5, 25])]),
        "action": chance.choice(["CREATE", "UPDATE", "DELETE", "LOGIN"]),
        "resource_type": chance.choice(["invoice", "account", "naïve"]),
        "severity": chance.choice(SEVERITIES),
        "outcome": chance.choice(["unknown", "success", "failure"]),
        "request_id": chance.choice(["r1", "r2", "r3"]),
    }


@dataclass
class Kept:
    """A tenant, how to ask it, and its entries."""

    tenant: Tenant
    api: Asking
    entries: list[Entry] = field(default_factory=list, repr=False)

    def add(self, entries: list[Entry]) -> None:
        store(self.tenant, entries)
        self.entries += [entry | {"source": "key:testing"} for entry in entries]


@pytest.fixture(scope="module")
def kept() -> Kept:
    chance = random.Random(4)
    tenant = new_tenant()
    found = Kept(tenant, asking_of(tenant))
    found.add([random_entry(chance, STARTS[0], NOW) for _ in range(300)])
    sequence_all()
    compact_all(NOW - 2 * DAY)
    # Late: into blocks, days and hours that are compacted already.
    found.add([random_entry(chance, STARTS[0], NOW) for _ in range(150)])
    sequence_all()
    compact_all(NOW)
    found.add([random_entry(chance, STARTS[1], NOW) for _ in range(100)])
    sequence_all()
    found.add([random_entry(chance, STARTS[chance.randrange(3)], NOW) for _ in range(60)])
    return found


def matches(entry: Entry, asked: Mapping[str, Any]) -> bool:
    for name, value in asked.items():
        if name == "from":
            found = entry["timestamp"] >= value
        elif name == "to":
            found = entry["timestamp"] < value
        elif name == "severity_min":
            found = SEVERITIES.index(entry["severity"]) >= SEVERITIES.index(value)
        else:
            found = entry[name] in ([value] if isinstance(value, str) else value)
        if not found:
            return False
    return True


def top_of(entries: list[Entry], name: str, top: int) -> list[dict[str, Any]]:
    counts = Counter(entry[name] for entry in entries)
    return [{"value": value, "count": count} for value, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:top]]


def assert_totals(found: Any, entries: list[Entry]) -> None:
    errors = sum(entry["severity"] in ("ERROR", "CRITICAL") for entry in entries)
    failures = sum(entry["outcome"] == "failure" for entry in entries)
    assert found["total"] == len(entries)
    assert found["errors"] == {"count": errors, "share": round(errors / len(entries), 6) if entries else None}
    assert found["failures"] == {"count": failures, "share": round(failures / len(entries), 6) if entries else None}
    users = len({entry["user_id"] for entry in entries})
    distinct = found["distinct_users"]
    if distinct["is_exact"]:
        assert distinct["value"] == users
    else:
        # So few are told apart without any error but that of two users in one register.
        assert abs(distinct["value"] - users) <= 1
        assert distinct["standard_error"] == 0.0163


def assert_statistics(kept: Kept, asked: dict[str, Any], *, top: int, bucket: str) -> None:
    answer = kept.api.get(STATS, **asked, top=top, bucket=bucket, compare="previous")
    assert answer.status_code == 200, answer.content
    found = answer.json()
    entries = [entry for entry in kept.entries if matches(entry, asked)]
    assert_totals(found["totals"], entries)
    for name in FIELDS:
        values = top_of(entries, name, top)
        assert found["by"][name] == {"values": values, "other": len(entries) - sum(one["count"] for one in values), "reason": None}, name
    begins, ends = found["period"]["from"], found["period"]["to"]
    edges = [bucket["from"] for bucket in found["buckets"]]
    assert [*edges, ends] == [begins, *(bucket["to"] for bucket in found["buckets"])] if edges else begins == ends
    for one in found["buckets"]:
        inside = [entry for entry in entries if one["from"] <= entry["timestamp"] < one["to"]]
        errors = sum(entry["severity"] in ("ERROR", "CRITICAL") for entry in inside)
        assert (one["count"], one["errors"]) == (len(inside), errors)
        assert one["failures"] == sum(entry["outcome"] == "failure" for entry in inside)
    previous = found["previous"]["period"]
    assert previous["to"] == begins
    assert_totals(found["previous"]["totals"], [entry for entry in kept.entries if matches(entry, asked | previous)])


MOMENTS = st.one_of(
    st.integers(0, 51 * 24).map(lambda hours: TODAY - 50 * DAY + hours * HOUR),
    st.integers(0, 51 * 24 * 60).map(lambda minutes: TODAY - 50 * DAY + datetime.timedelta(minutes=minutes)),
    st.integers(0, 72 * 60).map(lambda minutes: NOW - datetime.timedelta(minutes=minutes)),
).map(rfc3339)
RANGE = st.tuples(MOMENTS, MOMENTS).map(sorted).map(lambda pair: {"from": pair[0], "to": pair[1]})
FILTERS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "action": st.lists(st.sampled_from(["CREATE", "LOGIN"]), min_size=1, max_size=2, unique=True),
        "severity": st.sampled_from(SEVERITIES),
        "severity_min": st.sampled_from(SEVERITIES),
        "outcome": st.sampled_from(["success", "failure"]),
        "resource_type": st.sampled_from(["invoice", "naïve"]),
        "user_id": st.sampled_from(USERS[:6]),
        "request_id": st.just("r1"),
    },
)
# Most often none or one of them.
ASKED = st.one_of(RANGE, st.builds(lambda a, b: a | b, RANGE, FILTERS), st.builds(lambda a, u: a | {"user_id": u}, RANGE, st.sampled_from(USERS)))


@settings(max_examples=120, deadline=None)
@given(asked=ASKED, top=st.sampled_from([1, 3, 10, 100]), bucket=st.sampled_from(["auto", "day", "week", "month"]))
def test_statistics_are_a_brute_force_count(kept: Kept, asked: dict[str, Any], top: int, bucket: str) -> None:
    assert_statistics(kept, asked, top=top, bucket=bucket)


@pytest.fixture
def _short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """So short that the threshold does not always settle who is busiest."""
    monkeypatch.setattr(users, "LEAST_HEADS", 1)
    monkeypatch.setattr(users, "HEADS_PER_PLACE", 1)


@pytest.mark.usefixtures("_short_lists")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=RANGE, top=st.sampled_from([1, 2, 5, 30]))
def test_busiest_users_are_right_however_short_the_lists(kept: Kept, asked: dict[str, Any], top: int) -> None:
    answer = kept.api.get(STATS, **asked, top=top).json()
    entries = [entry for entry in kept.entries if matches(entry, asked)]
    assert answer["by"]["user_id"]["values"] == top_of(entries, "user_id", top)


@pytest.fixture
def _nothing_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MAX_COUNTED_ENTRIES", -1)


@pytest.mark.usefixtures("_nothing_one_by_one")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=RANGE, names=st.lists(st.sampled_from(USERS), min_size=1, max_size=3, unique=True), bucket=st.sampled_from(["auto", "day", "month"]))
def test_users_with_too_many_entries_are_counted_from_roll_ups(kept: Kept, asked: dict[str, Any], names: list[str], bucket: str) -> None:
    found = kept.api.get(STATS, **asked, user_id=names, bucket=bucket, top=100).json()
    entries = [entry for entry in kept.entries if matches(entry, asked | {"user_id": names})]
    assert found["counted_from"] == "rollups"
    assert found["totals"]["total"] == len(entries)
    assert found["totals"]["errors"] is None
    assert found["totals"]["distinct_users"]["value"] == len({entry["user_id"] for entry in entries})
    assert found["by"]["user_id"]["values"] == top_of(entries, "user_id", 100)
    assert found["by"]["action"]["values"] is None
    assert "one by one" in found["by"]["action"]["reason"]
    for one in found["buckets"]:
        assert one["count"] == sum(one["from"] <= entry["timestamp"] < one["to"] for entry in entries)
        assert one["errors"] is None


@settings(max_examples=60, deadline=None)
@given(asked=st.one_of(RANGE, st.builds(lambda a, b: a | b, RANGE, FILTERS)), top=st.sampled_from([1, 10]))
def test_facets_are_a_brute_force_count(kept: Kept, asked: dict[str, Any], top: int) -> None:
    answer = kept.api.get(FACETS, **asked, top=top)
    assert answer.status_code == 200, answer.content
    entries = [entry for entry in kept.entries if matches(entry, asked)]
    for name in FIELDS:
        assert answer.json()["facets"][name] == {"values": top_of(entries, name, top), "is_complete": True, "looked_at": len(entries)}, name


# -- who may see what


def test_another_tenant_s_entries_count_for_nobody_else(kept: Kept) -> None:
    mallory = service_of(new_tenant())
    everything = {"from": rfc3339(STARTS[0])}
    answer = mallory.get(STATS, **everything)
    assert answer.json()["totals"]["total"] == 0
    assert b"alice" not in answer.content
    assert b"alice" not in mallory.get(FACETS, **everything).content


def test_role_user_counts_only_their_own(kept: Kept) -> None:
    api = asking_of(kept.tenant, own_user_id="alice")
    asked = {"from": rfc3339(STARTS[0])}
    own = [entry for entry in kept.entries if entry["user_id"] == "alice"]
    found = api.get(STATS, **asked, compare="previous").json()
    assert_totals(found["totals"], own)
    assert found["by"]["user_id"]["values"] == [{"value": "alice", "count": len(own)}]
    assert api.get(STATS, **asked, user_id="bob").json()["totals"]["total"] == 0
    assert api.get(STATS, **asked, action="LOGIN").json()["totals"]["total"] == sum(entry["action"] == "LOGIN" for entry in own)
    facets = api.get(FACETS, **asked).json()["facets"]
    assert facets["user_id"]["values"] == [{"value": "alice", "count": len(own)}]
    assert facets["action"]["looked_at"] == len(own)


# -- the live edge, and the cache


def test_entry_counts_as_soon_as_it_is_committed_and_once() -> None:
    tenant = new_tenant()
    api = asking_of(tenant)
    for number in range(1, 4):
        store(tenant, [{}])
        for _ in range(2):
            assert api.get(STATS).json()["totals"]["total"] == number
            sequence_all()
    assert api.get(STATS).json()["by"]["user_id"]["values"] == [{"value": "alice", "count": 3}]


def test_answer_is_kept_until_an_entry_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = new_tenant()
    api = service_of(tenant)
    store(tenant, [{}])
    sequence_all()
    store(tenant, [{}])
    first = api.get(STATS).json()
    computed: list[uuid.UUID] = []

    def snapshot(tenant_id: uuid.UUID, timeout_seconds: float) -> AbstractContextManager[Any]:
        computed.append(tenant_id)
        return tenant_snapshot(tenant_id, timeout_seconds)

    monkeypatch.setattr(caching, "tenant_snapshot", snapshot)
    assert api.get(STATS).json() == first
    sequence_all()
    # A position changes no count, and that somebody asked is no news: else every look would make the next one slow.
    assert api.get(STATS).json() == first
    assert computed == []
    store(tenant, [{}])
    # What was posted, and the questions before.
    assert api.get(STATS).json()["by"]["source"]["values"] == [{"value": OWN_SOURCE, "count": 3}, {"value": "key:testing", "count": 3}]
    assert computed == [tenant.id]
    other = new_tenant()
    assert service_of(other).get(STATS).json()["totals"]["total"] == 0
    assert computed == [tenant.id, other.id]


def test_without_redis_statistics_are_computed_and_that_is_logged_once(kept: Kept, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    away = RedisCache("unix:///nowhere/redis.sock?db=0", {})
    monkeypatch.setattr(caching, "cache", away)
    monkeypatch.setattr(caching, "_is_away", False)
    for _ in range(3):
        assert kept.api.get(STATS).status_code == 200
    assert [record.levelname for record in caplog.records if record.name == caching.__name__] == ["WARNING"]


# -- refusals

BAD_QUESTIONS = [
    ("usr_id=alice", "usr_id", "unknown_parameter"),
    ("limit=3", "limit", "unknown_parameter"),
    ("cursor=AAAA", "cursor", "unknown_parameter"),
    ("from=yesterday", "from", "bad_timestamp"),
    ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "to", "bad_range"),
    ("severity=GRAVE", "severity", "unknown_value"),
    ("user_id=a%00b", "user_id", "null_characters_not_allowed"),
    ("top=0", "top", "bad_limit"),
    ("top=101", "top", "bad_limit"),
    ("top=ten", "top", "bad_limit"),
    ("top=", "top", "empty"),
    ("top=3&top=4", "top", "repeated"),
]
BAD_STATS = [
    ("bucket=minute", "bucket", "unknown_value"),
    ("bucket=HOUR", "bucket", "unknown_value"),
    ("bucket=hour&from=2000-01-01T00:00:00Z", "bucket", "too_many_buckets"),
    ("compare=next", "compare", "unknown_value"),
    ("fields=action", "fields", "unknown_parameter"),
]
BAD_FACETS = [
    ("fields=message", "fields", "unknown_value"),
    ("fields=action,,", "fields", "unknown_value"),
    ("fields=", "fields", "empty"),
    ("bucket=day", "bucket", "unknown_parameter"),
]


@pytest.mark.parametrize(
    ("path", "query", "parameter", "code"),
    [*((STATS, *one) for one in BAD_QUESTIONS + BAD_STATS), *((FACETS, *one) for one in BAD_QUESTIONS + BAD_FACETS)],
)
def test_question_that_is_not_right_is_refused_by_the_parameter_s_name(kept: Kept, path: str, query: str, parameter: str, code: str) -> None:
    answer = kept.api.get(f"{path}?{query}")
    assert_refused(answer, 422, "invalid_query", fault=code, pointer=parameter)
    assert b"alice" not in answer.content


@pytest.mark.parametrize("period", ["from=0001-01-01T00:00:00Z", "to=0001-01-01T00:00:00Z", "from=9999-12-31T00:00:00Z", "to=9999-12-31T23:59:59.999999Z"])
def test_periods_at_the_ends_of_time_have_an_answer(kept: Kept, period: str) -> None:
    for path in (STATS, FACETS):
        assert kept.api.get(f"{path}?{period}").status_code == 200
        assert kept.api.get(f"{path}?{period}&request_id=r1&top=100").status_code == 200
    if period.startswith("from=0001"):
        assert kept.api.get(f"{STATS}?{period}").json()["totals"]["total"] == len(kept.entries)


@pytest.mark.parametrize("path", [STATS, FACETS])
def test_question_that_reads_too_long_is_refused_with_advice(kept: Kept, path: str, settings: Any) -> None:
    settings.AUDITLOG_STATS_TIMEOUT_SECONDS = 0.001
    tenant = new_tenant()
    store(tenant, [{"ip_address": "192.0.2.1"}] * 3000)
    problem = assert_refused(service_of(tenant).get(path, ip_address="192.0.2.0/24"), 422, "too_expensive")
    assert problem["title"] == TooExpensive.title
    assert "Narrow the time" in problem["detail"]


def test_what_an_answer_can_do_without_may_be_left_out_when_it_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = new_tenant()
    store(tenant, [{}] * 3000)
    sequence_all()
    monkeypatch.setattr(tally, "OPTIONAL_SECONDS", 0.001)
    found = service_of(tenant).get(STATS, action="UPDATE").json()
    assert found["totals"]["total"] == 3000
    assert found["totals"]["distinct_users"] == {"value": None, "is_exact": False, "standard_error": None, "reason": tally.TOO_SLOW}
    assert found["by"]["user_id"] == {"values": None, "other": None, "reason": tally.TOO_SLOW}


def test_facets_of_many_matches_say_how_many_were_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = new_tenant()
    store(tenant, [{"request_id": "r1"}] * 12)
    monkeypatch.setattr(statistics, "FACETS_LOOK_AT", 5)
    found = service_of(tenant).get(FACETS, request_id="r1", fields="action").json()["facets"]
    assert found == {"action": {"values": [{"value": "UPDATE", "count": 5}], "is_complete": False, "looked_at": 5}}


def test_a_part_of_an_hour_is_taken_from_a_days_users() -> None:
    """A day that is compacted, without its first minute: who was there in that minute alone is below zero in what the day is added to."""
    tenant, day = new_tenant(), TODAY - 50 * DAY
    moments = [day + datetime.timedelta(seconds=30), day + 12 * HOUR]
    store(tenant, [{"user_id": user_id, "timestamp": rfc3339(moment)} for user_id, moment in zip(["alice", "alice"], moments, strict=True)])
    store(tenant, [{"user_id": "bob", "timestamp": rfc3339(moments[1])}] * 2)
    sequence_all()
    compact_all(NOW)
    answer = service_of(tenant).get(FACETS, **{"from": rfc3339(day + datetime.timedelta(minutes=1)), "to": rfc3339(day + DAY), "fields": "user_id"})
    assert answer.json()["facets"]["user_id"]["values"] == [{"value": "bob", "count": 2}, {"value": "alice", "count": 1}]
