"""Which field of an entry a field of a Sigma rule stands for.

Without more knowledge a field is looked for in metadata, where services put what has no field of its own: `requestParameters.userName` is
`metadata.requestParameters.userName`. Fields of AWS CloudTrail are asked for where `manage.py import_logs --format cloudtrail` puts them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from accounts.problems import Fault, Invalid
from logs.errors import InvalidQuery
from logs.event_names import action_of, resource_type_of
from logs.search.grammar import Qualifier, parse
from logs.search.values import network_of

# Fields of an entry that have no order of characters: names for the query language, which are those of the API.
TEXT_FIELDS = ("user_id", "action", "resource_type", "resource_id", "session_id", "request_id", "source")
OTHER_FIELDS = ("ip_address", "severity", "outcome")
MAX_OVERRIDES = 200
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Target:
    """What is asked of: a field of entries by its name in the API, or a path in metadata."""

    name: str
    path: tuple[str, ...] = ()

    @property
    def qualifier(self) -> str:
        """As the query language has it, without the colon."""
        return ".".join([self.name, *(key if _PLAIN_KEY.fullmatch(key) else quoted(key) for key in self.path)])

    @property
    def is_text(self) -> bool:
        return self.name in TEXT_FIELDS

    @property
    def is_metadata(self) -> bool:
        return self.name == "metadata"


def quoted(text: str) -> str:
    """As a phrase of the query language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True)
class Known:
    """A field that we know. `target`: where it is; `rewrite`: where else an exact value stands, and as what, if it stands there."""

    target: Target
    rewrite: Callable[[str], tuple[Target, str] | None] | None = None
    # What entries are told apart by where they are grouped by this field.
    group: Target | None = None


def _metadata(field: str) -> Target:
    return Target("metadata", tuple(field.split(".")))


def _address_or_metadata(text: str) -> tuple[Target, str] | None:
    try:
        network_of(text)
    except ValueError:
        # Calls of AWS's own services have their name here, which is no address: the import leaves it in metadata.
        return _metadata("sourceIPAddress"), text
    return None


_ACTION, _RESOURCE_TYPE, _ADDRESS, _USER = Target("action"), Target("resource_type"), Target("ip_address"), Target("user_id")
_KNOWN: Mapping[str, Known] = {
    **{name: Known(Target(name)) for name in (*TEXT_FIELDS, *OTHER_FIELDS)},
    # AWS CloudTrail. The import keeps names of events and services in metadata as well, as they came.
    "eventName": Known(_metadata("eventName"), lambda name: (_ACTION, action_of(name)), _ACTION),
    "eventSource": Known(_metadata("eventSource"), lambda source: (_RESOURCE_TYPE, resource_type_of(source)), _RESOURCE_TYPE),
    "sourceIPAddress": Known(_ADDRESS, _address_or_metadata),
    "userIdentity.arn": Known(_USER),
    "userIdentity.accessKeyId": Known(Target("session_id")),
    "requestID": Known(Target("request_id")),
    # Who and where from, by the names that rules for other logs use most.
    **{name: Known(_USER) for name in ("User", "user", "username", "actor", "actor.alternateId")},
    **{name: Known(_ADDRESS) for name in ("src_ip", "SourceIp", "IpAddress", "ClientIP", "c-ip", "client.ipAddress", "actor_ip")},
}
# Kept with an entry, and nothing that can be asked for.
UNSEARCHABLE: Mapping[str, str] = {
    "userAgent": "user_agent is kept with an entry, and can't be asked for",
    "user_agent": "user_agent is kept with an entry, and can't be asked for",
    "errorMessage": "it becomes the entry's message, of which words can be asked for (a keyword), and not the whole",
    "message": "words of the message can be asked for (a keyword), and not the whole",
    "eventID": "it becomes the entry's idempotency key, which can't be asked for",
    "eventTime": "it becomes the entry's time, and a rule looks at entries as they come",
}


class Fields:
    """The fields of one import."""

    def __init__(self, overrides: Mapping[str, str]) -> None:
        """`overrides`: what an Admin says of fields, by their names in rules. Raises Invalid."""
        faults = [Fault("/fields", "too_many_values", f"At most {MAX_OVERRIDES} fields.")] if len(overrides) > MAX_OVERRIDES else []
        self._overrides: dict[str, Target] = {}
        for name, text in overrides.items():
            target = _target_of(text)
            if target is None:
                known = ", ".join((*TEXT_FIELDS, *OTHER_FIELDS))
                pointer = f"/fields/{escaped(name)}"
                faults.append(Fault(pointer, "unknown_field", f"{text!r} is no field of entries. Expected one of {known}, or metadata.<key>."))
            else:
                self._overrides[name] = target
        if faults:
            raise Invalid(faults)

    def known(self, field: str) -> Known | None:
        """What is known of a field; None if it can't be asked for (`UNSEARCHABLE` says why)."""
        if field in self._overrides:
            return Known(self._overrides[field])
        if field in _KNOWN:
            return _KNOWN[field]
        return None if field in UNSEARCHABLE else Known(_metadata(field))

    def group_of(self, fields: Sequence[str]) -> list[Target | None]:
        """What entries are told apart by; None for what can't be."""
        found = [self.known(field) for field in fields]
        return [None if known is None else known.group or known.target for known in found]


def escaped(key: str) -> str:
    """As a part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def _target_of(text: str) -> Target | None:
    if text in TEXT_FIELDS or text in OTHER_FIELDS:
        return Target(text)
    try:
        syntax = parse(f'{text}:"x"')
    except InvalidQuery:
        return None
    return Target("metadata", syntax.path) if isinstance(syntax, Qualifier) and syntax.name == "metadata" and syntax.path else None
