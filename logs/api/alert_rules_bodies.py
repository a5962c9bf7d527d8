"""What the API of alert rules and alerts takes and gives."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from logs.alerts.conditions import Condition
from logs.alerts.definition import MAX_DESCRIPTION_CHARACTERS, MAX_GROUP_FIELDS, MAX_NAME_CHARACTERS, MAX_SIGMA_CHARACTERS
from logs.alerts.handling import MAX_NOTE_CHARACTERS
from logs.alerts.quieting import MAX_COOL_DOWN_SECONDS, Schedule
from logs.alerts.trying import MAX_DAYS
from logs.entry_types import SeverityName
from logs.search.grammar import MAX_CHARACTERS
from logs.search.parameters import MAX_NUMBER

GroupField = Literal["user_id", "ip_address", "action", "resource_type", "resource_id", "source", "session_id", "request_id"]
AlertStateName = Literal["open", "acknowledged", "closed"]
_Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARACTERS, description="Each of a tenant's rules has another.")]
_Description = Annotated[str, Meta(max_length=MAX_DESCRIPTION_CHARACTERS)]
_Query = Annotated[
    str,
    Meta(
        max_length=MAX_CHARACTERS,
        description="In the query language, without `after:` and `before:`; empty: every entry. The log's own entries are found by `source:auditlog` alone.",
    ),
]
_GroupBy = Annotated[
    list[GroupField], Meta(max_length=MAX_GROUP_FIELDS, description="Each combination of their values counts by itself; what lacks a value does not count.")
]
_Severity = Annotated[SeverityName, Meta(description="How much its alerts matter.")]
_CoolDown = Annotated[int, Meta(ge=0, le=MAX_COOL_DOWN_SECONDS, description="After an alert, so long none of the same group.")]
_TargetIds = Annotated[
    list[Annotated[int, Meta(ge=0, le=MAX_NUMBER)]],
    Meta(max_length=20, description="Delivery targets (`/api/v1/delivery-targets`) that are told of its alerts."),
]
_Schedule = Annotated[Schedule | None, Meta(description="When it may alert; null: always. It counts all the time.")]


class AlertRuleInput(msgspec.Struct, forbid_unknown_fields=True):
    """An alert rule to be kept."""

    name: _Name
    query: _Query
    condition: Condition
    group_by: _GroupBy = []
    severity: _Severity = "WARNING"
    cool_down_seconds: _CoolDown = 300
    schedule: _Schedule = None
    is_active: bool = True
    description: _Description = ""
    target_ids: _TargetIds = []


class ChangedAlertRule(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be changed of an alert rule; what is absent stays as it is."""

    name: _Name | UnsetType = UNSET
    query: _Query | UnsetType = UNSET
    condition: Condition | UnsetType = UNSET
    group_by: _GroupBy | UnsetType = UNSET
    severity: _Severity | UnsetType = UNSET
    cool_down_seconds: _CoolDown | UnsetType = UNSET
    schedule: _Schedule | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    description: _Description | UnsetType = UNSET
    target_ids: _TargetIds | UnsetType = UNSET


class SigmaInput(msgspec.Struct, forbid_unknown_fields=True):
    """Sigma rules to be made alert rules."""

    sigma: Annotated[str, Meta(min_length=1, max_length=MAX_SIGMA_CHARACTERS, description="YAML: one rule, or several with `---` between them.")]
    fields: Annotated[
        dict[str, str],
        Meta(description="Fields of the rules, and which fields of entries they are: `user_id` or another, or `metadata.<key>`."),
    ] = {}
    is_active: Annotated[bool, Meta(description="Whether the rules that are kept count at once.")] = True


class SigmaRuleOutput(msgspec.Struct):
    """An alert rule that a Sigma rule stands for."""

    id: Annotated[int | None, Meta(description="Of the rule that is kept; null: it was not asked for.")]
    name: str
    description: str
    query: str
    condition: Condition
    group_by: list[GroupField]
    severity: SeverityName
    mapped: Annotated[dict[str, str], Meta(description="Fields of the Sigma rule, and what is asked of instead.")]
    notes: Annotated[list[str], Meta(description="What it does not do quite as Sigma says.")]


class SigmaOutput(msgspec.Struct):
    """All of the rules, in their order."""

    rules: list[SigmaRuleOutput]


class AlertRuleMute(msgspec.Struct, forbid_unknown_fields=True):
    """Until when a rule makes no alerts."""

    until: Annotated[datetime.datetime, Meta(tz=True, description="At most 366 days from now; null: from now on it alerts again.")] | None


class AlertRuleOutput(msgspec.Struct):
    """One alert rule, with what has come of it since it last began to count."""

    id: int
    name: str
    description: str
    query: str
    condition: Condition
    group_by: list[GroupField]
    severity: SeverityName
    cool_down_seconds: int
    schedule: Schedule | None
    muted_until: datetime.datetime | None
    is_active: bool
    began_at: Annotated[datetime.datetime, Meta(description="Since when it counts.")]
    error: Annotated[str | None, Meta(description="Why it is not evaluated any more. Change it, or switch it off and on.")]
    match_count: int
    alert_count: int
    suppressed_count: Annotated[int, Meta(description="How often it would have alerted but for cool-down, mute, schedule and the flood limit.")]
    target_ids: Annotated[list[int], Meta(description="Delivery targets that are told of its alerts.")]
    forgotten_count: Annotated[int, Meta(description="Groups that were forgotten because there were too many at once.")]
    created_by: Annotated[str, Meta(description="`user:<name>`; empty if it was made elsewhere.")]
    created_at: datetime.datetime
    updated_at: datetime.datetime


class AlertRulePage(msgspec.Struct):
    """One page of alert rules, newest first. `next` is the path of the page after it, or null."""

    results: list[AlertRuleOutput]
    next: str | None
    waiting_count: Annotated[
        int, Meta(description="Entries of the log that have a position and were not evaluated yet: more than a few thousand, and it is behind.")
    ]


class AlertRuleTrial(msgspec.Struct, forbid_unknown_fields=True):
    """A rule to try on what is stored."""

    rule: AlertRuleInput
    days: Annotated[int, Meta(ge=1, le=MAX_DAYS, description="So many days back from now.")] = 7


class TriedAlertOutput(msgspec.Struct):
    """An alert that there would have been."""

    occurred_at: datetime.datetime
    group: dict[str, str]
    count: Annotated[int, Meta(description="How many entries made it; 0: their absence.")]
    suppressed_count: int
    entry_ids: Annotated[list[str], Meta(description="The last of them, at most 20.")]


class AlertRuleTrialOutput(msgspec.Struct):
    """What the rule would have done. At most 50 alerts are shown, the last ones; all are counted."""

    since: datetime.datetime
    until: datetime.datetime
    searched_to: Annotated[datetime.datetime | None, Meta(description="Only from then on was looked: all of it would have taken too long.")]
    match_count: int
    fire_count: Annotated[int, Meta(description="How often the condition was met.")]
    alert_count: Annotated[int, Meta(description="How often there would have been an alert, after cool-down and schedule.")]
    alerts: list[TriedAlertOutput]


class AlertHandling(msgspec.Struct, forbid_unknown_fields=True):
    """What is said to it."""

    note: Annotated[str, Meta(max_length=MAX_NOTE_CHARACTERS, description="In the place of the note before; absent: that stays.")] | UnsetType = UNSET


class AlertOutput(msgspec.Struct):
    """One alert."""

    id: int
    rule_id: Annotated[int | None, Meta(description="null: the rule was deleted.")]
    rule_name: Annotated[str, Meta(description="As it was when it fired.")]
    severity: SeverityName
    group: Annotated[dict[str, str], Meta(description="Values by field.")]
    count: Annotated[int, Meta(description="How many entries made it; 0: their absence.")]
    suppressed_count: Annotated[int, Meta(description="How often the same group would have alerted since its alert before this one.")]
    positions: Annotated[list[int], Meta(description="Of the last of the entries, at most 20; of an absence, of the last one before it.")]
    entry_ids: list[str]
    occurred_at: Annotated[datetime.datetime, Meta(description="When the condition was met, by the times at which entries were received.")]
    fired_at: Annotated[datetime.datetime, Meta(description="When that was found.")]
    state: AlertStateName
    note: str
    changed_by: Annotated[str | None, Meta(description="Who acknowledged or closed it: `user:<name>`.")]
    changed_at: datetime.datetime | None


class AlertPage(msgspec.Struct):
    """One page of alerts, newest first. `next` is the path of the page after it, or null."""

    results: list[AlertOutput]
    next: str | None
