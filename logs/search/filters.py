"""The filters of the query string: what they are called, how a value is read, and which tree they come to.

A django-filter `FilterSet` over the tree instead of a queryset: entries are not read by the ORM.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, RegexValidator
from django.http import QueryDict

from accounts.problems import Fault
from logs.errors import InvalidQuery
from logs.models import Entry, Outcome, Severity
from logs.models.catalogue import ACTION_PATTERN
from logs.search.grammar import MAX_CHARACTERS
from logs.search.parameters import check_parameters
from logs.search.qualifiers import Reader
from logs.search.tree import AddressWithin, All, Node, OutcomeIs, SeverityIs, TextField, TextIs, TierIs, TimestampBefore, TimestampFrom
from logs.search.values import moment_of, network_of

MAX_VALUES = 100
# What `archived` may say, and the condition that it stands for.
ARCHIVED: dict[str, Node] = {"include": All(), "only": TierIs("cold"), "exclude": TierIs("hot")}


class MomentField(forms.Field):
    """RFC 3339 date and time with offset, as for entries."""

    def to_python(self, value: Any) -> datetime.datetime | None:
        if value in self.empty_values:
            return None
        try:
            return moment_of(value)
        except ValueError as error:
            hint = " In an address a + has to be written %2B." if " " in value else ""
            raise ValidationError(f"{error}.{hint}", code="bad_timestamp") from None


class TextValueField(forms.CharField):
    """A text that is compared as it is."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(strip=False, validators=[MaxLengthValidator(512)], **arguments)


class ActionField(TextValueField):
    """An action's name: upper case, or it could never match."""

    default_validators = [RegexValidator(ACTION_PATTERN, "Actions are upper case: A-Z, 0-9, _ . : -", code="bad_format")]


class NetworkField(forms.Field):
    """An address, or a network in CIDR notation."""

    def to_python(self, value: Any) -> str | None:
        if value in self.empty_values:
            return None
        try:
            return network_of(value)
        except ValueError as error:
            raise ValidationError(f"{error}.", code="bad_ip_address") from None


class NameField(forms.Field):
    """One name of a choice, as its number."""

    def __init__(self, choices: type[Severity | Outcome], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.numbers: dict[str, int] = {str(choice.label): choice.value for choice in choices}

    def to_python(self, value: Any) -> int | None:
        if value in self.empty_values:
            return None
        if value not in self.numbers:
            raise ValidationError(f"{value!r} is none of {', '.join(self.numbers)}.", code="unknown_value")
        return self.numbers[value]


class ArchivedField(forms.Field):
    """Whether archived entries are asked for."""

    def to_python(self, value: Any) -> str | None:
        if value in self.empty_values:
            return None
        if value not in ARCHIVED:
            raise ValidationError(f"{value!r} is none of {', '.join(ARCHIVED)}.", code="unknown_value")
        return str(value)


class QueryField(forms.Field):
    """The query language: a tree already. InvalidQuery goes through, with the column of what is wrong."""

    def to_python(self, value: Any) -> All | None:
        return None if value in self.empty_values else Reader(datetime.datetime.now(datetime.UTC)).tree(value)


class RepeatedField(forms.Field):
    """A parameter that may be given several times: a list of what `one` makes of each value."""

    widget = forms.SelectMultiple

    def __init__(self, one: forms.Field, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.one = one

    def clean(self, value: Any) -> list[Any]:
        values = value or []
        if len(values) > MAX_VALUES:
            raise ValidationError(f"At most {MAX_VALUES} values.", code="too_many_values")
        # An empty value would mean "no filter" by its place and "the empty text" by its look: it is refused.
        if any(item == "" for item in values):
            raise ValidationError("The value is empty.", code="empty")
        return list(dict.fromkeys(self.one.clean(item) for item in values))


class NodeFilter(django_filters.Filter):
    """One parameter. `node(value)` is its part of the tree; `json_schema` what the documentation says of a value."""

    def __init__(
        self, make: Callable[[Any], Node], field: Callable[..., forms.Field], json_schema: dict[str, Any], help_text: str, *, is_repeated: bool = True
    ):
        super().__init__(help_text=help_text)
        self._make = make
        self._field_class = field
        self.json_schema = json_schema
        self.is_repeated = is_repeated

    @property
    def field(self) -> forms.Field:
        one = self._field_class(required=False, help_text=self.extra["help_text"])
        return RepeatedField(one, required=False) if self.is_repeated else one

    def node(self, value: Any) -> Node:
        return self._make(tuple(value) if self.is_repeated else value)


def _text(field: TextField, help_text: str) -> NodeFilter:
    return NodeFilter(lambda values: TextIs(field, values), TextValueField, {"type": "string", "maxLength": 512}, help_text)


_SEVERITIES = {"type": "string", "enum": list(Severity.labels)}
_MOMENT = {"type": "string", "format": "date-time"}


class EntryFilterSet(django_filters.FilterSet):
    """Every filter over entries. Several filters all have to hold; of a repeated one, any value."""

    q = NodeFilter(
        lambda tree: tree,
        QueryField,
        {"type": "string", "maxLength": MAX_CHARACTERS},
        'The query language: words, "phrases", prefix*, -not, OR, brackets, and qualifiers such as `user:alice severity:>=ERROR after:-7d`.',
        is_repeated=False,
    )
    from_ = NodeFilter(TimestampFrom, MomentField, _MOMENT, "Timestamp at or after (RFC 3339 with offset).", is_repeated=False)
    to = NodeFilter(TimestampBefore, MomentField, _MOMENT, "Timestamp before.", is_repeated=False)
    user_id = _text("user_id", "Who did it.")
    action = NodeFilter(lambda values: TextIs("action", values), ActionField, {"type": "string", "pattern": ACTION_PATTERN}, "What was done.")
    resource_type = _text("resource_type", "What kind of thing it was done to.")
    resource_id = _text("resource_id", "Which thing. Quickest together with `resource_type`.")
    severity = NodeFilter(SeverityIs, lambda **more: NameField(Severity, **more), _SEVERITIES, "How grave.")
    severity_min = NodeFilter(
        lambda least: SeverityIs(tuple(value for value in Severity.values if value >= least)),
        lambda **more: NameField(Severity, **more),
        _SEVERITIES,
        "At least as grave.",
        is_repeated=False,
    )
    outcome = NodeFilter(OutcomeIs, lambda **more: NameField(Outcome, **more), {"type": "string", "enum": list(Outcome.labels)}, "How it ended.")
    request_id = _text("request_id", "Everything of one request, over all services.")
    session_id = _text("session_id", "Everything of one session.")
    ip_address = NodeFilter(AddressWithin, NetworkField, {"type": "string"}, "Where it came from: an address, or a network such as 10.0.0.0/8.")
    archived = NodeFilter(
        lambda choice: ARCHIVED[choice],
        ArchivedField,
        {"type": "string", "enum": list(ARCHIVED), "default": "include"},
        "Entries in the archive: `include` them, search them `only`, or `exclude` them.",
        is_repeated=False,
    )

    @classmethod
    def get_filters(cls) -> Any:
        # `from` is a word of Python's and can't be written above.
        filters = super().get_filters()
        return {("from" if name == "from_" else name): found for name, found in filters.items()}

    def tree(self) -> All:
        """What is asked. Raises InvalidQuery, which names every parameter that is wrong."""
        form = self.form
        if not form.is_valid():
            faults = [Fault(name, error.code or "invalid", " ".join(error.messages)) for name, errors in form.errors.as_data().items() for error in errors]
            raise InvalidQuery(faults)
        given: dict[str, Any] = {name: value for name, value in form.cleaned_data.items() if value not in (None, "", [])}
        if "from" in given and "to" in given and given["from"] > given["to"]:
            raise InvalidQuery([Fault("to", "bad_range", "`to` is before `from`.")])
        return All(tuple(self.filters[name].node(value) for name, value in given.items()))


def words_of_question(query: QueryDict) -> bytes:
    """What tells one question from another in a query string: its filters as they were given, however ordered. A time that is
    relative to now is the same question later."""
    given = sorted((name, query.getlist(name)) for name in query if name in EntryFilterSet.base_filters)
    return repr(given).encode("utf-8", "surrogatepass")


def filters_of(query: QueryDict, *others: str) -> EntryFilterSet:
    """The filter set over a query string. Raises InvalidQuery for parameters that are neither filters nor `others`."""
    repeated = [name for name, one in EntryFilterSet.base_filters.items() if one.is_repeated]
    check_parameters(query, [*EntryFilterSet.base_filters, *others], repeated=repeated)
    return EntryFilterSet(query, queryset=Entry.objects.none())
