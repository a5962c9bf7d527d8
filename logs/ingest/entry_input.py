"""The entry as callers send it. The very types that decode it are the OpenAPI schema (logs.api.schema)."""

from __future__ import annotations

import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from logs.entry_types import JSONObject, OutcomeName, SeverityName
from logs.models.catalogue import ACTION_PATTERN

# A resource's index holds type and id together; PostgreSQL takes at most 2,704 bytes there, 4 bytes a character.
Id256 = Annotated[str, Meta(min_length=1, max_length=256)]


class EntryInput(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One audit entry: who did what to which resource, when and from where."""

    user_id: Annotated[str, Meta(min_length=1, max_length=256, description="Who did it: the actor's id in your system.", examples=["alice"])]
    action: Annotated[
        str,
        Meta(
            pattern=ACTION_PATTERN,
            description="What was done: CREATE, UPDATE, DELETE, VIEW, LOGIN, or any word of your own in upper case.",
            examples=["UPDATE"],
        ),
    ]
    resource_type: Annotated[str, Meta(min_length=1, max_length=128, description="What kind of thing it was done to.", examples=["invoice"])]
    timestamp: (
        Annotated[
            datetime.datetime,
            Meta(tz=True, description="When it happened (RFC 3339 with offset, kept to the microsecond). Default: when the server received it."),
        ]
        | None
    ) = None
    resource_id: Annotated[str, Meta(min_length=1, max_length=512, description="Which thing.", examples=["inv-2041"])] | None = None
    session_id: Id256 | None = None
    request_id: Annotated[str, Meta(min_length=1, max_length=256, description="Groups the entries of one request, over all services.")] | None = None
    ip_address: Annotated[str, Meta(max_length=45, description="IPv4 or IPv6 address it came from.", examples=["203.0.113.7"])] | None = None
    user_agent: Annotated[str, Meta(max_length=2048)] | None = None
    before: Annotated[JSONObject, Meta(description="The resource's state before the action.")] | msgspec.UnsetType = msgspec.UNSET
    after: Annotated[JSONObject, Meta(description="The resource's state after the action.")] | msgspec.UnsetType = msgspec.UNSET
    metadata: Annotated[JSONObject, Meta(description="Whatever else belongs to it.")] | msgspec.UnsetType = msgspec.UNSET
    severity: Annotated[SeverityName, Meta(description="Default: the action's default, else INFO.")] | None = None
    outcome: Annotated[OutcomeName, Meta(description="How it ended. Default: unknown.")] | None = None
    message: Annotated[str, Meta(max_length=32_768, description="A sentence for people.")] | None = None
    idempotency_key: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=255,
                description="Sent again with the same key and timestamp, an entry is stored once. Needs a `timestamp`.",
            ),
        ]
        | None
    ) = None
