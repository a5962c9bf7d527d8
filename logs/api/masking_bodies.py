"""What the API of masking rules takes and gives."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

KindName = Literal["key", "pattern"]
FieldName = Literal["message", "user_agent", "metadata", "before", "after"]
ActionName = Literal["redact", "partial", "hash", "encrypt", "drop"]
_Name = Annotated[str, Meta(min_length=1, max_length=100, description="Each of a tenant's rules has another.")]
_Kind = Annotated[KindName, Meta(description="`key`: the name of a key. `pattern`: a regular expression (RE2), in every text.")]
_Pattern = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1000,
        description="Of a key: its name, `*` for anything; case, `_`, `-`, `.` don't count. Of a pattern: RE2's syntax; a group named `secret` is "
        "what is masked, else all that matches.",
    ),
]
_Fields = Annotated[list[FieldName], Meta(max_length=5, description="Where to look; empty: everywhere.")]
_ResourceTypes = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(max_length=20, description="Of which entries; empty: of all.")
]  # fmt: skip
_Action = Annotated[ActionName, Meta(description="What takes the place of what is found.")]
_Position = Annotated[int, Meta(ge=0, le=1_000_000, description="Rules of lower position come first; the built-in ones come last.")]


class NewMaskingRule(msgspec.Struct, forbid_unknown_fields=True):
    """A masking rule to be kept."""

    name: _Name
    kind: _Kind
    pattern: _Pattern
    fields: _Fields = []
    resource_types: _ResourceTypes = []
    action: _Action = "redact"
    position: _Position = 100
    is_active: bool = True


class ChangedMaskingRule(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be changed of a masking rule; what is absent stays as it is."""

    name: _Name | UnsetType = UNSET
    kind: _Kind | UnsetType = UNSET
    pattern: _Pattern | UnsetType = UNSET
    fields: _Fields | UnsetType = UNSET
    resource_types: _ResourceTypes | UnsetType = UNSET
    action: _Action | UnsetType = UNSET
    position: _Position | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class MaskingRuleOutput(msgspec.Struct):
    """One masking rule of the tenant's own."""

    id: int
    name: str
    kind: KindName
    pattern: str
    fields: list[FieldName]
    resource_types: list[str]
    action: ActionName
    position: int
    is_active: bool
    created_by: Annotated[str, Meta(description="`user:<name>`; empty if it was made elsewhere.")]
    created_at: datetime.datetime
    updated_at: datetime.datetime


class BuiltInMaskingOutput(msgspec.Struct):
    """One built-in masking rule, as the tenant has it."""

    name: str
    description: str
    action: ActionName
    default_action: Annotated[str, Meta(description="What it would be without your change.")]
    is_active: bool


class ChangedBuiltInMasking(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be changed of a built-in rule; what is absent stays as it is."""

    action: _Action | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class MaskingRules(msgspec.Struct):
    """All rules of the tenant: its own, then the built-in ones, in the order in which they count."""

    rules: list[MaskingRuleOutput]
    built_in: list[BuiltInMaskingOutput]


class MaskingSample(msgspec.Struct, forbid_unknown_fields=True):
    """Fields of an entry, to try a rule on."""

    message: Annotated[str, Meta(max_length=32_768)] | None = None
    user_agent: Annotated[str, Meta(max_length=2048)] | None = None
    metadata: dict[str, Any] | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    resource_type: Annotated[str, Meta(max_length=128)] = ""


class MaskingTrial(msgspec.Struct, forbid_unknown_fields=True):
    """A rule to try out, and on what."""

    rule: NewMaskingRule
    entries: Annotated[int, Meta(ge=0, le=200, description="So many of the newest entries that you may see and that the rule is for.")] = 50
    samples: Annotated[list[MaskingSample], Meta(max_length=20)] = []


class MaskedEntry(msgspec.Struct):
    """What the rule would change of a stored entry, which was masked when it came in: the fields before and after."""

    id: str
    masked: Annotated[list[str], Meta(description="JSON Pointers into the entry.")]
    before: dict[str, Any]
    after: dict[str, Any]


class MaskedSample(msgspec.Struct):
    """What the rule and all others would change of a sample. Empty: nothing."""

    masked: list[str]
    before: dict[str, Any]
    after: dict[str, Any]


class MaskingPreview(msgspec.Struct):
    """What a rule would do. At most 20 entries are shown; all that were looked at are counted."""

    looked_at: int
    would_change: int
    changes: list[MaskedEntry]
    samples: list[MaskedSample]
