"""What is asked of the log, as a tree of values. Nothing here knows SQL or HTTP."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal, TypeAlias

TextField: TypeAlias = Literal["user_id", "action", "resource_type", "resource_id", "request_id", "session_id"]


@dataclass(frozen=True)
class TextIs:
    """The field is one of `values`."""

    field: TextField
    values: tuple[str, ...]


@dataclass(frozen=True)
class SeverityIs:
    """The severity (its number) is one of `values`."""

    values: tuple[int, ...]


@dataclass(frozen=True)
class OutcomeIs:
    """The outcome (its number) is one of `values`."""

    values: tuple[int, ...]


@dataclass(frozen=True)
class AddressWithin:
    """The address lies in one of `networks`, in CIDR notation; a single address is a network of one."""

    networks: tuple[str, ...]


@dataclass(frozen=True)
class TimestampFrom:
    """The timestamp is at or after `moment`."""

    moment: datetime.datetime


@dataclass(frozen=True)
class TimestampBefore:
    """The timestamp is before `moment`."""

    moment: datetime.datetime


@dataclass(frozen=True)
class All:
    """Every one of `nodes` holds; none: everything does."""

    nodes: tuple[Node, ...] = ()


Node: TypeAlias = TextIs | SeverityIs | OutcomeIs | AddressWithin | TimestampFrom | TimestampBefore | All
