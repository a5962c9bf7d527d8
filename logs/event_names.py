"""Names of other systems' events as entries have them."""

from __future__ import annotations

import re

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_IN_ACTIONS = re.compile(r"[^A-Z0-9_.:-]+")
_HOST = ".amazonaws.com"


def action_of(event_name: str) -> str:
    """The name in words: `DeleteParameter` -> `DELETE_PARAMETER`."""
    return _NOT_IN_ACTIONS.sub("_", _WORDS.sub("_", event_name).upper())


def resource_type_of(event_source: str) -> str:
    """The service of a CloudTrail event: `iam.amazonaws.com` -> `iam`."""
    return event_source.removesuffix(_HOST)
