"""What clients and server say to each other on the stream, as JSON texts; the same as docs/asyncapi.yaml describes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from accounts.problems import Problem
from logs.streaming.reading import Streamed

MAX_LAST = 1_000
# The longest message that a client may send: a query of the longest kind and a credential.
MAX_MESSAGE_BYTES = 64 * 1024


class Authenticate(msgspec.Struct, tag_field="type", tag="authenticate", forbid_unknown_fields=True):
    """The first message of who brought no credential with the handshake. `tenant`: for people who belong to several."""

    token: Annotated[str, Meta(min_length=1, max_length=8192)]
    tenant: Annotated[str, Meta(max_length=63)] | None = None


class Subscribe(msgspec.Struct, tag_field="type", tag="subscribe", forbid_unknown_fields=True):
    """Ask for entries; a later one takes the place of an earlier. `q`: the query language; `after`: a position to go on after; `last`: the newest N first."""

    q: str = ""
    after: Annotated[int, Meta(ge=-1, le=2**62)] | None = None
    last: Annotated[int, Meta(ge=0, le=MAX_LAST)] | None = None
    filters: Annotated[dict[str, list[str]], Meta(description="The other filters of the search, by name.")] = {}


class Pause(msgspec.Struct, tag_field="type", tag="pause", forbid_unknown_fields=True):
    """Send nothing until `resume`; what comes meanwhile is read from the database then."""


class Resume(msgspec.Struct, tag_field="type", tag="resume", forbid_unknown_fields=True):
    """Go on where `pause` was said."""


ClientMessage: TypeAlias = Authenticate | Subscribe | Pause | Resume
decode = msgspec.json.Decoder(ClientMessage).decode
_encode = msgspec.json.Encoder().encode


def subscribed(after: int, tree_size: int) -> bytes:
    """The subscription stands: entries after the position `after` follow."""
    return _encode({"type": "subscribed", "after": after, "tree_size": tree_size})


def entries(found: Sequence[Streamed]) -> bytes:
    """One `entry`, or several as a `batch`."""
    if len(found) == 1:
        return b'{"type":"entry","position":%d,"entry":%s}' % (found[0].position, found[0].encoded)
    return b'{"type":"batch","first":%d,"last":%d,"entries":[%s]}' % (
        found[0].position,
        found[-1].position,
        b",".join(b'{"position":%d,"entry":%s}' % (one.position, one.encoded) for one in found),
    )


def heartbeat(after: int, tree_size: int, lag_seconds: float | None) -> bytes:
    """All is well: every match up to `after` was sent. `lag_seconds`: how long the oldest committed entry waits for its position."""
    return _encode({"type": "heartbeat", "after": after, "tree_size": tree_size, "lag_seconds": lag_seconds})


def gap(first_position: int, after: int) -> bytes:
    """Entries from `first_position` on were not sent; ask again with this `after`."""
    return _encode({"type": "gap", "first_position": first_position, "after": after})


def paused(after: int) -> bytes:
    return _encode({"type": "paused", "after": after})


def error(problem: Problem) -> bytes:
    """A problem document (RFC 9457)."""
    document: dict[str, Any] = msgspec.json.decode(problem.response().content)
    return _encode({"type": "error", "problem": document})
