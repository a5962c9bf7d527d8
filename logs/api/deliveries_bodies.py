"""What the API of delivery targets and deliveries takes and gives."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from logs.deliveries.targets import DEFAULT_OVERLAP_SECONDS, MAX_ADDRESSES, MAX_NAME_CHARACTERS, MAX_OVERLAP_SECONDS
from logs.entry_types import SeverityName
from logs.outbound.calling import MAX_URL_LENGTH

KindName = Literal["webhook", "slack", "email"]
StateName = Literal["waiting", "delivered", "dead"]
_Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARACTERS, description="Each of a tenant's targets has another.")]
_Url = Annotated[
    str,
    Meta(max_length=MAX_URL_LENGTH, description="Of webhooks and chats: `https://` (or `http://`), on the public internet. Kept encrypted, never shown again."),
]
_Addresses = Annotated[list[Annotated[str, Meta(max_length=254)]], Meta(max_length=MAX_ADDRESSES, description="Of kind `email`.")]
_Seconds = Annotated[int, Meta(ge=0, le=MAX_OVERLAP_SECONDS, description="For so long the secret before signs too.")]


class TargetInput(msgspec.Struct, forbid_unknown_fields=True):
    """A delivery target to be kept."""

    name: _Name
    kind: KindName
    url: _Url = ""
    email_addresses: _Addresses = []
    is_active: bool = True


class ChangedTarget(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be changed of a target; what is absent stays as it is."""

    name: _Name | UnsetType = UNSET
    url: _Url | UnsetType = UNSET
    email_addresses: _Addresses | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class SecretRotation(msgspec.Struct, forbid_unknown_fields=True):
    """A new signing secret."""

    overlap_seconds: _Seconds = DEFAULT_OVERLAP_SECONDS


class TargetOutput(msgspec.Struct):
    """One delivery target. `secret` is there in the answer that made it, and never again."""

    id: int
    name: str
    kind: KindName
    host: Annotated[str, Meta(description="Where it leads: of an address no more is shown.")]
    email_addresses: list[str]
    is_active: bool
    stopped_because: Annotated[str | None, Meta(description="Why it was switched off by itself.")]
    failure_count: Annotated[int, Meta(description="Failures in a row.")]
    rests_until: Annotated[datetime.datetime | None, Meta(description="It failed: until then nothing is sent to it.")]
    waiting_count: Annotated[int, Meta(description="Deliveries on their way.")]
    dead_count: Annotated[int, Meta(description="Deliveries that were given up.")]
    created_by: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    secret: Annotated[str | UnsetType, Meta(description="What signs: `whsec_` and base64, as libraries of Standard Webhooks take it.")] = UNSET


class TargetPage(msgspec.Struct):
    """One page of delivery targets, newest first. `next` is the path of the page after it, or null."""

    results: list[TargetOutput]
    next: str | None


class AttemptOutput(msgspec.Struct):
    """One attempt."""

    series: Annotated[int, Meta(description="Each replay begins another.")]
    started_at: datetime.datetime
    duration_ms: int
    is_success: bool
    status_code: int | None
    error: str | None
    answer: Annotated[str | None, Meta(description="How the receiver's answer began.")]


class DeliveryOutput(msgspec.Struct):
    """One delivery. `attempts` is there when one is asked for by its id."""

    id: str
    target_id: int
    message_id: str
    webhook_id: Annotated[str, Meta(description="The header `webhook-id` of every attempt.")]
    type: str
    title: str
    severity: SeverityName
    state: StateName
    attempt_count: int
    next_attempt_at: datetime.datetime | None
    created_at: datetime.datetime
    finished_at: datetime.datetime | None
    data: dict[str, Any]
    attempts: list[AttemptOutput] | UnsetType = UNSET


class DeliveryPage(msgspec.Struct):
    """One page of deliveries, newest first. `next` is the path of the page after it, or null."""

    results: list[DeliveryOutput]
    next: str | None


class ReplayedDeliveries(msgspec.Struct):
    """How many dead letters are on their way again."""

    replayed: int
