"""Pseudonyms: nothing of who an entry is about stays, whatever the names are and wherever they stand; what belongs together still does."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from logs.export.pseudonyms import Pseudonymiser
from logs.storage.table import TABLE_COLUMN_NAMES

KEY = b"k" * 32
JSON = ("metadata", "before", "after")
ENTRY: dict[str, Any] = {
    "id": "019a2b3c-4d5e-7000-8000-00000000002a",
    "timestamp": "2026-01-31T12:00:00.123456Z",
    "user_id": "carol",
    "action": "UPDATE",
    "resource_type": "invoice",
    "severity": "INFO",
    "outcome": "success",
    "source": "key:abc",
}


def line_of(**fields: Any) -> dict[str, Any]:
    """The pseudonymised line of an entry."""
    [(line,)] = Pseudonymiser(KEY).lines([(msgspec.json.encode(ENTRY | fields).decode(),)])
    found: dict[str, Any] = json.loads(line)
    return found


def row_of(**fields: Any) -> dict[str, Any]:
    """The same of a row of the table formats."""
    given = ENTRY | {"received_at": ENTRY["timestamp"], "is_imported": "false"} | fields
    row = [json.dumps(given[name]) if name in JSON and name in given else given.get(name) for name in TABLE_COLUMN_NAMES]
    [found] = Pseudonymiser(KEY).columns([row])
    named = dict(zip(TABLE_COLUMN_NAMES, found, strict=True))
    return {name: json.loads(value) if name in JSON and value else value for name, value in named.items()}


def test_the_same_person_is_the_same_throughout_and_nobody_else() -> None:
    carol = line_of()["user_id"]
    assert carol.startswith("u_")
    assert line_of(source="user:carol")["source"] == f"user:{carol}"
    assert line_of(resource_id="carol")["resource_id"] == carol
    assert line_of(user_id="dave")["user_id"] != carol
    assert row_of()["user_id"] == carol
    # A session that is called as a user is no user.
    assert line_of(session_id="carol")["session_id"][2:] != carol[2:]


def test_two_exports_do_not_go_together() -> None:
    [(line,)] = Pseudonymiser(b"o" * 32).lines([(json.dumps(ENTRY),)])
    assert json.loads(line)["user_id"] != line_of()["user_id"]


def test_names_are_replaced_in_every_place_and_any_case() -> None:
    carol = line_of()["user_id"]
    metadata = {"by": "Carol", "note": "seen by carol (carol@example.org)", "carol": [1, {"deep": "x-CAROL-x"}], "n": 5, "t": True, "z": None}
    for found in (line_of(metadata=metadata, changed_fields=["carol"]), row_of(metadata=metadata, changed_fields=["carol"])):
        assert found["metadata"] == {
            "by": carol, "note": f"seen by {carol} ({carol}@example.org)", carol: [1, {"deep": f"x-{carol}-x"}], "n": 5, "t": True, "z": None
        }  # fmt: skip
        assert found["changed_fields"] == [carol]


def test_numbers_of_people_are_replaced_whether_text_or_number() -> None:
    found = line_of(user_id="48151623", after={"id": 48151623, "text": "48151623", "other": 48151624})
    assert found["after"] == {"id": found["user_id"], "text": found["user_id"], "other": 48151624}


def test_short_names_are_replaced_where_they_are_words() -> None:
    found = line_of(user_id="al", metadata={"a": "al was here", "b": "also", "c": "x:al"})
    assert found["metadata"] == {"a": f"{found['user_id']} was here", "b": "also", "c": f"x:{found['user_id']}"}


def test_a_name_within_another_leaves_nothing_of_it() -> None:
    found = line_of(user_id="carol", session_id="carol-77", metadata={"s": "carol-77", "u": "carol"})
    assert found["metadata"] == {"s": found["session_id"], "u": found["user_id"]}


def test_what_is_free_text_or_tells_a_guess_right_is_left_out() -> None:
    full = {
        "message": "carol did it", "user_agent": "carol's browser", "title": "carol updated", "idempotency_key": "carol-1", "subject": "carol",
        "integrity": {"position": 7, "leaf_hash": "x"}, "highlights": {"message": [[0, 5]]},
    }  # fmt: skip
    found = line_of(**full)
    assert set(found) == {*ENTRY, "integrity"}
    assert found["integrity"] == {"position": 7}
    row = row_of(message="carol did it", user_agent="x", idempotency_key="carol-1", position=7)
    assert (row["message"], row["user_agent"], row["idempotency_key"], row["position"]) == (None, None, None, 7)


def test_the_person_behind_a_pseudonymised_user_is_replaced_too() -> None:
    found = line_of(user_id="p_1234", subject="carol", metadata={"who": "carol"})
    assert "carol" not in str(found)


def test_users_whom_the_log_itself_pseudonymises_are_replaced_by_their_names() -> None:
    pseudonymiser = Pseudonymiser(KEY, lambda user_ids: {"p_1234": "carol"} if "p_1234" in user_ids else {})
    given = ENTRY | {"user_id": "p_1234", "metadata": {"who": "carol"}}
    [(line,)] = pseudonymiser.lines([(json.dumps(given),)])
    [row] = pseudonymiser.columns([[json.dumps(given[name]) if name == "metadata" else given.get(name) for name in TABLE_COLUMN_NAMES]])
    assert "carol" not in line
    assert "carol" not in str(row)


def test_everything_else_stays_letter_by_letter() -> None:
    text = '{"id":"x","timestamp":"t","user_id":"carol","action":"A","metadata":{"b": 1.50, "a": [1e300, 12345678901234567890]}}'
    [(line,)] = Pseudonymiser(KEY).lines([(text,)])
    assert line.endswith('"metadata":{"b": 1.50, "a": [1e300, 12345678901234567890]}}')


# Letters in two cases, of other alphabets, and what JSON escapes.
NAMES = st.text('aAbBéÉЖж1_@."\\\n', min_size=4, max_size=12)
VALUES = st.recursive(st.none() | st.booleans() | st.integers(-99, 99) | st.text("xyz", max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5)


@given(NAMES, NAMES, st.dictionaries(st.text("xyz", max_size=5), VALUES, max_size=3))
def test_names_of_any_characters_are_found_and_nothing_else_is_touched(user: str, session: str, rest: dict[str, Any]) -> None:
    assume(user.lower() not in session.lower() and session.lower() not in user.lower())
    metadata = rest | {"whole": user, "within": f"<{user.upper()}|{session}>", f"k-{user}": {"deep": [session]}}
    for found in [made(user_id=user, session_id=session, metadata=metadata, resource_id=f"{session}|{user}") for made in (line_of, row_of)]:
        person, visit = found["user_id"], found["session_id"]
        assert found["metadata"] == rest | {"whole": person, "within": f"<{person}|{visit}>", f"k-{person}": {"deep": [visit]}}
        assert found["resource_id"] == f"{visit}|{person}"
