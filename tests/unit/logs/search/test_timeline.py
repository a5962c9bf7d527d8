"""What the entries of a request come to."""

from __future__ import annotations

from logs.search.timeline import MAX_NAMES, SeenRow, TouchedResource, milliseconds_between, summarise

FIRST = SeenRow("2026-01-31T12:00:00.000000Z", "bob", "LOGIN", "session", None, "INFO", "success", "key:web")
SECOND = SeenRow("2026-01-31T12:00:00.001500Z", "alice", "UPDATE", "invoice", "2", "CRITICAL", "failure", "key:billing")
THIRD = SeenRow("2026-01-31T12:00:01.250001Z", "bob", "UPDATE", "invoice", "1", "ERROR", "success", "key:web")
FOURTH = THIRD._replace(resource_id="2", timestamp="2026-01-31T12:00:02.000000Z")


def test_summary_is_in_the_order_of_the_entries() -> None:
    summary = summarise([FIRST, SECOND, THIRD, FOURTH])
    assert summary is not None
    assert (summary.started_at, summary.ended_at, summary.duration_ms, summary.entry_count) == (FIRST.timestamp, FOURTH.timestamp, 2000.0, 4)
    assert (summary.worst_severity, summary.outcomes) == ("CRITICAL", {"success": 3, "failure": 1})
    assert (summary.users, summary.sources, summary.actions) == (["bob", "alice"], ["key:web", "key:billing"], ["LOGIN", "UPDATE"])
    assert summary.resources == [TouchedResource("session", 1), TouchedResource("invoice", 2, "2"), TouchedResource("invoice", 1, "1")]
    assert summary.is_whole


def test_of_nothing_there_is_no_summary() -> None:
    assert summarise([]) is None


def test_lists_are_bounded_and_the_summary_says_so() -> None:
    whole = summarise([FIRST._replace(user_id=f"user-{number}") for number in range(MAX_NAMES)])
    cut = summarise([FIRST._replace(resource_id=str(number)) for number in range(MAX_NAMES + 1)])
    assert whole is not None
    assert cut is not None
    assert (len(whole.users), whole.is_whole) == (MAX_NAMES, True)
    assert (len(cut.resources), cut.entry_count, cut.is_whole) == (MAX_NAMES, MAX_NAMES + 1, False)


def test_offsets_are_exact_to_the_microsecond() -> None:
    assert milliseconds_between(FIRST.timestamp, FIRST.timestamp) == 0.0
    assert milliseconds_between(FIRST.timestamp, SECOND.timestamp) == 1.5
    assert milliseconds_between(FIRST.timestamp, THIRD.timestamp) == 1250.001
    assert milliseconds_between("2000-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000001Z") == 820540800000.001
