"""What the API of forwarders takes and gives."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from logs.forwarding.forwarders import MAX_CERTIFICATE_CHARACTERS, MAX_NAME_CHARACTERS, MAX_URL_CHARACTERS
from logs.search.grammar import MAX_CHARACTERS
from logs.search.parameters import MAX_NUMBER

ForwarderKindName = Literal["webhook", "splunk", "syslog", "objects"]
_Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARACTERS, description="Each of a tenant's forwarders has another.")]
_Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_URL_CHARACTERS,
        description="`https://...` of webhooks and Splunk; `syslog://host:port`, `syslog+tls://host:port`; an object storage of AUDITLOG_FORWARD_URLS."
        " Kept encrypted, never shown again.",
    ),
]
_Query = Annotated[str, Meta(max_length=MAX_CHARACTERS, description="In the query language; empty: every entry. `-source:auditlog` leaves the log's own out.")]
_Token = Annotated[str, Meta(max_length=500, description="Of Splunk's HTTP Event Collector. Never shown again.")]
_Index = Annotated[str, Meta(max_length=200, description="Of Splunk; empty: the token's.")]
_Certificate = Annotated[
    str, Meta(max_length=MAX_CERTIFICATE_CHARACTERS, description="PEM of the authority by which a syslog server with TLS is known; empty: the system's.")
]
_Position = Annotated[int, Meta(ge=0, le=MAX_NUMBER, description="The first position that is sent.")]


class ForwarderInput(msgspec.Struct, forbid_unknown_fields=True):
    """A forwarder to be kept. Without `from_position` it begins with what comes."""

    name: _Name
    kind: ForwarderKindName
    url: _Url
    query: _Query = ""
    token: _Token = ""
    index: _Index = ""
    certificate: _Certificate = ""
    is_active: bool = True
    from_position: _Position | None = None


class ChangedForwarder(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be changed of a forwarder; what is absent stays as it is."""

    name: _Name | UnsetType = UNSET
    url: _Url | UnsetType = UNSET
    query: _Query | UnsetType = UNSET
    token: _Token | UnsetType = UNSET
    index: _Index | UnsetType = UNSET
    certificate: _Certificate | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class ForwarderReplay(msgspec.Struct, forbid_unknown_fields=True):
    """Where to begin again."""

    from_position: _Position


class ForwarderOutput(msgspec.Struct):
    """One forwarder, and how far it has come."""

    id: int
    name: str
    kind: ForwarderKindName
    host: Annotated[str, Meta(description="Where it leads: of an address no more is shown.")]
    query: str
    is_active: Annotated[bool, Meta(description="False: paused.")]
    position: Annotated[int, Meta(description="Everything up to here has arrived; -1: nothing yet.")]
    lag_entries: Annotated[int, Meta(description="Positions that are still to be looked at.")]
    lag_seconds: Annotated[float, Meta(description="For how long it has been behind; 0: it is not.")]
    sent_count: Annotated[int, Meta(description="Entries that were sent, repeats included.")]
    sent_at: datetime.datetime | None
    failure_count: Annotated[int, Meta(description="Failures in a row.")]
    last_error: str | None
    failed_at: datetime.datetime | None
    created_by: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    secret: Annotated[str | UnsetType, Meta(description="What signs a webhook: in the answer that made it, and never again.")] = UNSET


class ForwarderPage(msgspec.Struct):
    """One page of forwarders, newest first. `next` is the path of the page after it, or null."""

    results: list[ForwarderOutput]
    next: str | None
