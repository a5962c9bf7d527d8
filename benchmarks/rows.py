"""Seeded entries as a business application posts them, and the bytes of the requests that carry them.

An entry is a dict in the form of the API. Its `timestamp` holds `SECOND` where the second of the clock goes, so that a
body is encoded once, ahead of time, and still says "now" whenever it is sent: `stamped` puts the clock in.
"""

from __future__ import annotations

import datetime
import itertools
import random
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

Entry: TypeAlias = dict[str, Any]

# As long as the text that takes its place, so that Content-Length holds.
SECOND = "YYYY-MM-DDTHH:MM:SS"
_SECOND_BYTES = SECOND.encode()

USERS = 5_000
SESSIONS_OF_USER = 3
ACTIONS = {
    "VIEW": 44, "UPDATE": 18, "CREATE": 12, "LOGIN": 7, "LOGOUT": 5, "SEARCH": 5, "EXPORT": 3, "DELETE": 3,
    "LOGIN_FAILED": 2, "APPROVE": 1,
}  # fmt: skip
RESOURCES = {"invoice": 30, "customer": 25, "order": 20, "document": 10, "contract": 8, "user": 5, "report": 2}
SERVICES = {"billing": 35, "crm": 30, "shop": 20, "backoffice": 10, "reporting": 5}
USER_AGENTS = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36": 45,
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15": 20,
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": 15,
    "billing-worker/4.11 python-httpx/0.28": 12,
    "okhttp/4.12.0": 8,
}
FIRST_NAMES = ("anna", "ben", "clara", "david", "elena", "felix", "grace", "hugo", "ines", "jonas", "karin", "liam", "mia", "noah", "olga", "paul")
FIELDS: dict[str, tuple[Any, ...]] = {
    "status": ("draft", "open", "approved", "paid", "overdue", "cancelled"),
    "amount": (19.9, 120, 449.5, 1250, 18_400.75, 99_000),
    "currency": ("EUR", "USD", "GBP", "CHF"),
    "assignee": FIRST_NAMES,
    "priority": (1, 2, 3, 4, 5),
    "is_locked": (True, False),
    "note": ("checked by phone", "second reminder sent", "moved to next quarter", "customer asked for a copy"),
}
DETAILS = ("checked by phone", "scheduled run", "requested by customer", "from the mobile app", "bulk operation")
_FIELD_NAMES = tuple(FIELDS)


class Weighted:
    """Draws from values with weights."""

    def __init__(self, chances: random.Random, values: Sequence[Any], weights: Iterable[float]) -> None:
        self._values = values
        self._bounds = list(itertools.accumulate(weights))
        self._chances = chances

    @classmethod
    def of(cls, chances: random.Random, weights: dict[Any, int]) -> Weighted:
        return cls(chances, list(weights), weights.values())

    @classmethod
    def zipf(cls, chances: random.Random, values: Sequence[Any], exponent: float = 1.05) -> Weighted:
        """The n-th value comes 1/n^exponent as often as the first: few do most, as people do."""
        return cls(chances, values, (1 / rank**exponent for rank in range(1, len(values) + 1)))

    def draw(self, count: int) -> list[Any]:
        return self._chances.choices(self._values, cum_weights=self._bounds, k=count)


def timestamp(index: int, count: int) -> str:
    """The timestamp of entry `index` of `count`: microseconds ascend through a second whose text is put in later."""
    return f"{SECOND}.{index * 1_000_000 // count:06d}Z"


def application_entries(seed: int, count: int) -> list[Entry]:
    """`count` entries of a business application, 400 to 600 bytes of JSON each on average."""
    chances = random.Random(seed)
    users = Weighted.zipf(chances, [f"{FIRST_NAMES[number % len(FIRST_NAMES)]}.{number:04d}@example.com" for number in range(USERS)]).draw(count)
    actions = Weighted.of(chances, ACTIONS).draw(count)
    resources = Weighted.of(chances, RESOURCES).draw(count)
    services = Weighted.of(chances, SERVICES).draw(count)
    entries: list[Entry] = []
    for index in range(count):
        user, action, resource = users[index], actions[index], resources[index]
        session = _session(user, chances.randrange(SESSIONS_OF_USER))
        is_failure = action == "LOGIN_FAILED"
        if action.startswith("LOG"):
            resource, resource_id = "session", session["session_id"]
        else:
            resource_id = f"{resource[:3]}-{chances.randrange(1, 200_000)}"
        entry: Entry = {
            "timestamp": timestamp(index, count),
            "user_id": user,
            "action": action,
            "resource_type": resource,
            "resource_id": resource_id,
            **session,
            "request_id": str(uuid.UUID(int=chances.getrandbits(128), version=4)),
            "outcome": "failure" if is_failure else "success",
            "metadata": _metadata(chances, services[index], resource),
        }
        if is_failure:
            entry |= {"severity": "WARNING", "message": f"Sign-in of {user} failed: wrong password"}
        elif action == "DELETE" or chances.random() < 0.01:
            entry["severity"] = "ERROR" if chances.random() < 0.3 else "WARNING"
        if action == "UPDATE":
            entry["before"], entry["after"] = _change(chances)
        elif action == "CREATE":
            entry["after"] = _change(chances)[1]
        entries.append(entry)
    return entries


def _session(user: str, number: int) -> Entry:
    """What is the same in all entries of one session."""
    fixed = random.Random(f"{user}/{number}")
    return {
        "session_id": f"{fixed.getrandbits(96):024x}",
        "ip_address": f"10.{fixed.randrange(256)}.{fixed.randrange(256)}.{fixed.randrange(1, 255)}",
        "user_agent": Weighted.of(fixed, USER_AGENTS).draw(1)[0],
    }


def _metadata(chances: random.Random, service: str, resource: str) -> Entry:
    metadata: Entry = {"service": service, "duration_ms": chances.randrange(2, 900), "path": f"/{service}/{resource}s"}
    if chances.random() < 0.3:
        metadata["detail"] = {"reason": chances.choice(DETAILS), "tags": chances.sample(DETAILS, 2)}
    return metadata


def _change(chances: random.Random) -> tuple[Entry, Entry]:
    """A resource before and after an update of one or two of its fields."""
    names = chances.sample(_FIELD_NAMES, 5)
    before = {name: chances.choice(FIELDS[name]) for name in names} | {"version": chances.randrange(1, 40)}
    after = before | {name: chances.choice(FIELDS[name]) for name in names[:2]} | {"version": before["version"] + 1}
    return before, after


# -- bytes ---------------------------------------------------------------------------------------------------------


def single_bodies(entries: Iterable[Entry]) -> list[bytes]:
    """One JSON body an entry."""
    return [msgspec.json.encode(entry) for entry in entries]


def bulk_bodies(entries: Sequence[Entry], batch: int) -> list[bytes]:
    """One JSON array for each full batch of `batch` entries."""
    whole = len(entries) - len(entries) % batch
    return [msgspec.json.encode(entries[start : start + batch]) for start in range(0, whole, batch)]


def current_second() -> bytes:
    """The clock's second (UTC) in the form that takes the place of `SECOND`."""
    return datetime.datetime.now(datetime.UTC).isoformat()[: len(SECOND)].encode()


def stamped(message: bytes, second: bytes) -> bytes:
    """`message` with the second put into all its timestamps; as long as before."""
    return message.replace(_SECOND_BYTES, second)


def http_request(path: str, authorization: str, body: bytes) -> bytes:
    """The bytes of one keep-alive POST of JSON."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {authorization}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
