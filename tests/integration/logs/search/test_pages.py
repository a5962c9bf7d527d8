"""Pages of entries against a model that keeps them in a list: every filter, both directions, every limit."""

from __future__ import annotations

import datetime
import ipaddress
import random
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import Role, Tenant
from tests.api import NOT_OWN
from tests.storing import new_key, new_tenant, new_token, store

Entry = dict[str, Any]
Pairs = list[tuple[str, str]]

SEVERITIES = ["INFO", "WARNING", "ERROR", "CRITICAL"]
OUTCOMES = ["unknown", "success", "failure"]
USERS = ["alice", "bob", "carol", "dave 100%_\\", "Ζωή"]
ACTIONS = ["CREATE", "UPDATE", "DELETE", "LOGIN"]
ADDRESSES = ["10.1.2.3", "10.1.2.4", "10.9.0.1", "192.0.2.7", "2001:db8::1", "2001:db8::2", "2001:db8:1::1"]
NETWORKS = [*ADDRESSES, "10.0.0.0/8", "10.1.2.0/24", "2001:db8::/64", "2001:db8::/32", "0.0.0.0/0", "::/0", "::ffff:10.1.2.3", "::ffff:10.0.0.0/104"]
DAY = datetime.timedelta(days=1)
START = datetime.datetime.now(datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0) - 6 * DAY


def rfc3339(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def random_entry(chance: random.Random) -> Entry:
    # Some share a millisecond or a microsecond: the order within these has to hold, too.
    moment = START + datetime.timedelta(seconds=chance.randrange(0, 5 * 86_400))
    if chance.random() < 0.3:
        moment = START + 2 * DAY + datetime.timedelta(microseconds=chance.randrange(0, 2_000))
    entry: Entry = {
        "timestamp": rfc3339(moment),
        "user_id": chance.choice(USERS),
        "action": chance.choice(ACTIONS),
        "resource_type": chance.choice(["invoice", "account"]),
        "severity": chance.choice(SEVERITIES),
        "outcome": chance.choice(OUTCOMES),
    }
    optional = {
        "ip_address": ADDRESSES,
        "resource_id": ["1", "2", "3"],
        "request_id": ["r1", "r2"],
        "session_id": ["s1", "s2"],
    }
    return entry | {name: chance.choice(values) for name, values in optional.items() if chance.random() < 0.8}


@dataclass(frozen=True)
class Kept:
    """What the model knows: a tenant, its key, and its entries, newest first."""

    tenant: Tenant
    key: str
    entries: list[Entry]


@pytest.fixture(scope="module")
def kept() -> Kept:
    chance = random.Random(7)
    tenant = new_tenant()
    entries = [random_entry(chance) for _ in range(150)]
    for entry, id in zip(entries, store(tenant, entries), strict=True):
        entry["id"] = id
    return Kept(tenant, new_key(tenant), sorted(entries, key=lambda entry: uuid.UUID(entry["id"]), reverse=True))


def get(key: str, path: str) -> Any:
    response = Client().get(path, headers={"authorization": f"Bearer {key}"})
    assert response.status_code == 200, response.content
    return response.json()


def first_page(pairs: Sequence[tuple[str, str]], limit: int = 50) -> str:
    """Of what was posted: without the entries about these questions."""
    return "/api/v1/logs?" + urlencode([*pairs, ("q", NOT_OWN), ("limit", str(limit))])


def walk(key: str, path: str | None, link: str) -> list[Any]:
    """The page at `path` and those that `link` leads to, each page as it was answered."""
    pages = []
    while path is not None:
        pages.append(get(key, path))
        path = pages[-1][link]
        assert len(pages) <= 1000
    return pages


def ids(page: Mapping[str, Any]) -> list[str]:
    return [entry["id"] for entry in page["results"]]


def is_within(entry: Entry, networks: Sequence[str]) -> bool:
    if "ip_address" not in entry:
        return False
    address = ipaddress.ip_address(entry["ip_address"])
    for text in networks:
        network = ipaddress.ip_network(text)
        if isinstance(network, ipaddress.IPv6Network) and (mapped := network.network_address.ipv4_mapped) is not None:
            network = ipaddress.ip_network((mapped, network.prefixlen - 96))
        if address.version == network.version and address in network:
            return True
    return False


def model_answer(entries: Sequence[Entry], asked: Mapping[str, list[str]]) -> list[str]:
    """Ids of the entries for which every filter holds; of a repeated filter, any value."""
    rules: dict[str, Callable[[Entry, list[str]], bool]] = {
        "from": lambda entry, values: entry["timestamp"] >= values[0],
        "to": lambda entry, values: entry["timestamp"] < values[0],
        "severity_min": lambda entry, values: SEVERITIES.index(entry["severity"]) >= SEVERITIES.index(values[0]),
        "ip_address": is_within,
    }
    found = []
    for entry in entries:
        if all(rules[name](entry, values) if name in rules else entry.get(name) in values for name, values in asked.items()):
            found.append(entry["id"])
    return found


# Moments at the entries themselves and one microsecond beside them: where a range begins and ends is what goes wrong.
MOMENTS = st.one_of(
    st.integers(0, 5 * 86_400).map(lambda seconds: START + datetime.timedelta(seconds=seconds)),
    st.integers(-1, 2_001).map(lambda us: START + 2 * DAY + datetime.timedelta(microseconds=us)),
).map(rfc3339)
RANGE = st.tuples(MOMENTS, MOMENTS).map(sorted).map(lambda pair: {"from": [pair[0]], "to": [pair[1]]})
REPEATED = {
    "user_id": USERS,
    "action": ACTIONS,
    "resource_type": ["invoice", "account"],
    "resource_id": ["1", "2", "3", "4"],
    "severity": SEVERITIES,
    "outcome": OUTCOMES,
    "request_id": ["r1", "r2"],
    "session_id": ["s1", "s2"],
    "ip_address": NETWORKS,
}
FILTERS = st.builds(
    lambda repeated, least, between: {**repeated, **least, **between},
    st.lists(st.sampled_from(sorted(REPEATED)), max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: st.lists(st.sampled_from(REPEATED[name]), min_size=1, max_size=3) for name in names})
    ),
    st.one_of(st.just({}), st.sampled_from(SEVERITIES).map(lambda least: {"severity_min": [least]})),
    st.one_of(st.just({}), RANGE, MOMENTS.map(lambda moment: {"from": [moment]}), MOMENTS.map(lambda moment: {"to": [moment]})),
)


def pairs_of(asked: Mapping[str, list[str]]) -> Pairs:
    return [(name, value) for name, values in asked.items() for value in values]


@settings(max_examples=50, deadline=None)
@given(asked=FILTERS, limit=st.sampled_from([7, 20, 50, 1000]))
def test_pages_are_the_model_s_answer_forwards_and_backwards(kept: Kept, asked: dict[str, list[str]], limit: int) -> None:
    expected = model_answer(kept.entries, asked)
    forwards = walk(kept.key, first_page(pairs_of(asked), limit), "next")
    assert [id for page in forwards for id in ids(page)] == expected
    assert [len(page["results"]) for page in forwards[:-1]] == [limit] * (len(forwards) - 1)
    assert forwards[0]["previous"] is None
    if len(forwards) > 1:
        backwards = walk(kept.key, forwards[-1]["previous"], "previous")
        assert [ids(page) for page in reversed(backwards)] == [ids(page) for page in forwards[:-1]]


@pytest.mark.parametrize("limit", [1, 7, 50, 1000])
def test_all_entries_come_newest_first_at_every_limit(kept: Kept, limit: int) -> None:
    pages = walk(kept.key, first_page([], limit), "next")
    found = [entry for page in pages for entry in page["results"]]
    assert [entry["id"] for entry in found] == [entry["id"] for entry in kept.entries]
    moments = [entry["timestamp"] for entry in found]
    assert moments == sorted(moments, reverse=True)
    assert len(pages) == -(-len(kept.entries) // limit)


def test_what_was_stored_is_what_is_shown(kept: Kept) -> None:
    for shown, sent in zip(get(kept.key, first_page([], 1000))["results"], kept.entries, strict=True):
        assert {name: shown.get(name) for name in sent} == sent


def test_the_range_is_half_open_to_the_microsecond() -> None:
    tenant = new_tenant()
    moments = [START + datetime.timedelta(microseconds=us) for us in (999, 1000, 1001, 1002)]
    store(tenant, [{"timestamp": rfc3339(moment)} for moment in moments])
    key = new_key(tenant)
    for first in range(4):
        for last in range(first, 4):
            found = get(key, first_page([("from", rfc3339(moments[first])), ("to", rfc3339(moments[last]))]))["results"]
            assert [entry["timestamp"] for entry in found] == [rfc3339(moment) for moment in reversed(moments[first:last])]


def test_range_may_begin_and_end_in_any_year(kept: Kept) -> None:
    assert len(ids(get(kept.key, first_page([("from", "0001-01-01T00:00:00Z"), ("to", "9999-12-31T23:59:59Z")], 1000)))) == len(kept.entries)
    assert ids(get(kept.key, first_page([("from", "0496-09-28T21:28:54-05:13"), ("to", "1969-12-31T23:59:59Z")]))) == []


def test_new_entries_at_the_top_do_not_disturb_the_pages_below() -> None:
    tenant = new_tenant()
    key = new_key(tenant)
    old = store(tenant, [{"timestamp": rfc3339(START + datetime.timedelta(seconds=number))} for number in range(20)])
    page = get(key, first_page([], 6))
    seen, number = ids(page), 0
    while page["next"]:
        number += 1
        store(tenant, [{"timestamp": rfc3339(START + DAY + datetime.timedelta(seconds=number))}])
        page = get(key, page["next"])
        seen += ids(page)
    assert seen == list(reversed(old))
    back = [ids(page) for page in walk(key, page["previous"], "previous")]
    # Going back ends with what has come in meanwhile.
    assert len([id for page in back for id in page]) == len(old) - len(ids(page)) + number


def test_role_user_sees_only_their_own_entries(kept: Kept) -> None:
    token = new_token(kept.tenant, Role.USER, log_user_id="alice")
    own = [entry["id"] for entry in kept.entries if entry["user_id"] == "alice"]
    assert [id for page in walk(token, first_page([], 7), "next") for id in ids(page)] == own
    assert ids(get(token, first_page([("user_id", "bob")]))) == []
    assert ids(get(token, first_page([("user_id", "bob"), ("user_id", "alice")], 1000))) == own
    foreign = next(entry["id"] for entry in kept.entries if entry["user_id"] == "bob")
    assert Client().get(f"/api/v1/logs/{foreign}", headers={"authorization": f"Bearer {token}"}).status_code == 404
    assert get(token, f"/api/v1/logs/{own[0]}")["id"] == own[0]


def test_an_auditor_sees_the_whole_tenant(kept: Kept) -> None:
    token = new_token(kept.tenant, Role.AUDITOR)
    assert len(ids(get(token, first_page([], 1000)))) == len(kept.entries)


def test_another_tenant_sees_nothing(kept: Kept) -> None:
    mallory = new_key(new_tenant())
    assert get(mallory, first_page([], 1000)) == {"results": [], "next": None, "previous": None}
    for entry in kept.entries[:3]:
        response = Client().get(f"/api/v1/logs/{entry['id']}", headers={"authorization": f"Bearer {mallory}"})
        assert response.status_code == 404
        assert entry["user_id"].encode() not in response.content
    cursor = get(kept.key, first_page([], 7))["next"]
    response = Client().get(cursor, headers={"authorization": f"Bearer {mallory}"})
    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "cursor_of_other_query")


def test_links_say_the_same_as_the_body(kept: Kept) -> None:
    headers = {"authorization": f"Bearer {kept.key}"}
    first = Client().get(first_page([("action", "LOGIN")], 5), headers=headers)
    assert re.findall(r'<(.+?)>; rel="(\w+)"', first["Link"]) == [(first.json()["next"], "next")]
    second = Client().get(first.json()["next"], headers=headers)
    assert re.findall(r'<(.+?)>; rel="(\w+)"', second["Link"]) == [(second.json()["next"], "next"), (second.json()["previous"], "prev")]
    assert "Link" not in Client().get(first_page([("user_id", "nobody")]), headers=headers)


BAD_QUESTIONS = [
    ("usr_id=alice", "usr_id", "unknown_parameter"),
    ("from=yesterday", "from", "bad_timestamp"),
    ("from=2026-01-31T12:00:00", "from", "bad_timestamp"),
    ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "to", "bad_range"),
    ("from=2026-01-01T00:00:00Z&from=2026-01-01T00:00:00Z", "from", "repeated"),
    ("severity=GRAVE", "severity", "unknown_value"),
    ("severity_min=info", "severity_min", "unknown_value"),
    ("outcome=ok", "outcome", "unknown_value"),
    ("action=login", "action", "bad_format"),
    ("ip_address=10.0.0", "ip_address", "bad_ip_address"),
    ("user_id=", "user_id", "empty"),
    ("user_id=a%00b", "user_id", "null_characters_not_allowed"),
    ("limit=0", "limit", "bad_limit"),
    ("limit=1001", "limit", "bad_limit"),
    ("limit=ten", "limit", "bad_limit"),
    ("limit=", "limit", "empty"),
    ("cursor=AAAA", "cursor", "bad_cursor"),
    ("cursor=%FF", "cursor", "bad_cursor"),
]


@pytest.mark.parametrize(("query", "parameter", "code"), BAD_QUESTIONS, ids=[query for query, _, _ in BAD_QUESTIONS])
def test_a_question_that_is_not_right_is_refused_by_the_parameter_s_name(kept: Kept, query: str, parameter: str, code: str) -> None:
    response = Client().get(f"/api/v1/logs?{query}", headers={"authorization": f"Bearer {kept.key}"})
    assert response.status_code == 422, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert [(fault["pointer"], fault["code"]) for fault in response.json()["errors"]] == [(parameter, code)]
    assert "results" not in response.json()


def test_an_entry_is_found_by_its_id_and_nothing_else_is(kept: Kept) -> None:
    headers = {"authorization": f"Bearer {kept.key}"}
    one = kept.entries[0]
    found = get(kept.key, f"/api/v1/logs/{one['id']}")
    assert {name: found.get(name) for name in one} == one
    for other in (str(uuid.uuid4()), str(uuid.UUID(int=0)), "ffffffff-ffff-ffff-ffff-ffffffffffff", "no-uuid", "1", "%00"):
        response = Client().get(f"/api/v1/logs/{other}", headers=headers)
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), other
