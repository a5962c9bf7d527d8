"""Messages of syslog, whatever people write."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from logs.forwarding.syslog import framed, message_of
from logs.search.output import EntryOutput

HEAD = re.compile(
    rb'<(\d+)>1 (\S+) auditlog auditlog - ([\x21-\x7e]{1,32}) \[auditlog@32473 position="(\d+)" tenant="((?:[^"\\\]]|\\.)*)" action="((?:[^"\\\]]|\\.)*)" '
    rb'user="((?:[^"\\\]]|\\.)*)"\] \xef\xbb\xbf'
)


def entry(**fields: str) -> EntryOutput:
    usual = {"id": "1", "timestamp": "2026-01-31T12:00:00.000001Z", "received_at": "2026-01-31T12:00:00.000001Z", "user_id": "bob", "action": "DELETE"}
    usual |= {"resource_type": "invoice", "severity": "ERROR", "outcome": "failure", "source": "key:1"}
    return EntryOutput(**(usual | fields))  # type: ignore[arg-type]


@given(st.text(), st.text(), st.integers(0, 2**62))
def test_nothing_that_people_wrote_ends_a_field_or_a_message(user: str, action: str, position: int) -> None:
    message = message_of(entry(user_id=user, action=action), position, b'{"a":"b"}', "main")
    found = HEAD.match(message)
    assert found
    assert (int(found[1]), int(found[4]), message[found.end() :]) == (13 * 8 + 3, position, b'{"a":"b"}')
    assert b"\n" not in message
    assert b"\r" not in message
    assert b"\x1b" not in message


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_frames_can_be_taken_apart(messages: list[bytes]) -> None:
    stream = b"".join(map(framed, messages))
    found = []
    while stream:
        length, _, stream = stream.partition(b" ")
        found.append(stream[: int(length)])
        stream = stream[int(length) :]
    assert found == messages
