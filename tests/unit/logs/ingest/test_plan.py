"""What a group of submissions comes to, decided without a database."""

from __future__ import annotations

from logs.ingest.check import CheckedEntry
from logs.ingest.plan import Asked, Plan, Status, Stored, make_plan
from logs.storage.columns import ENTRY_COLUMNS

STORED, REPLAYED, CONFLICTING = Status.STORED, Status.REPLAYED, Status.CONFLICTING


def entry(id: str, message: str = "", *, is_keyed: bool = True, tenant: str = "t", source: str = "key:a") -> CheckedEntry:
    values = {"id": id, "tenant_id": tenant, "message": message, "source": source}
    columns = tuple(values.get(name) for name in ENTRY_COLUMNS)
    return CheckedEntry(id, tenant, columns, bytes(32), 100, 0, is_keyed, ())


def plan(*submissions: list[CheckedEntry], partial: tuple[int, ...] = (), existing: tuple[CheckedEntry, ...] = ()) -> Plan:
    asked = [Asked(entries, number in partial, any(one.is_keyed for one in entries)) for number, entries in enumerate(submissions)]
    return make_plan(asked, {(one.tenant_id, one.id): Stored.of(one.columns, one.record) for one in existing})


def ids(found: Plan) -> list[list[str]]:
    return [[one.id for one in inserts] for inserts in found.inserts]


def test_entries_without_key_are_all_stored() -> None:
    found = plan([entry("1", is_keyed=False), entry("1", is_keyed=False)])
    assert ids(found) == [["1", "1"]]
    assert found.statuses == [[STORED, STORED]]


def test_stored_entry_sent_again_is_a_replay() -> None:
    found = plan([entry("1", "a", source="key:b"), entry("2")], existing=(entry("1", "a"),))
    assert ids(found) == [["2"]]
    assert found.statuses == [[REPLAYED, STORED]]


def test_other_content_under_the_key_refuses_the_whole_submission() -> None:
    found = plan([entry("1", "b"), entry("2")], existing=(entry("1", "a"),))
    assert ids(found) == [[]]
    assert found.refused == {0}
    assert found.statuses == [[CONFLICTING, STORED]]


def test_other_content_refuses_only_itself_in_a_partial_submission() -> None:
    found = plan([entry("1", "b"), entry("2")], partial=(0,), existing=(entry("1", "a"),))
    assert ids(found) == [["2"]]
    assert not found.refused


def test_first_of_two_submissions_with_one_key_leads() -> None:
    found = plan([entry("1", "a")], [entry("1", "a")], [entry("1", "b")])
    assert ids(found) == [["1"], [], []]
    assert found.statuses == [[STORED], [REPLAYED], [CONFLICTING]]
    assert found.refused == {2}


def test_refused_submission_leads_nothing() -> None:
    found = plan([entry("1", "b"), entry("2", "mine")], [entry("2", "yours")], existing=(entry("1", "a"),))
    assert ids(found) == [[], ["2"]]
    assert found.refused == {0}


def test_same_id_in_another_tenant_is_another_entry() -> None:
    found = plan([entry("1", "a")], [entry("1", "b", tenant="u")])
    assert found.statuses == [[STORED], [STORED]]
