"""Types of an entry's fields on the wire, shared by what comes in and what goes out."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

SeverityName = Literal["INFO", "WARNING", "ERROR", "CRITICAL"]
OutcomeName = Literal["unknown", "success", "failure"]
# Absent is UNSET, not None: msgspec takes Raw for any value, null included, and refuses an object by a union with null.
JSONObject = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object", "additionalProperties": True, "nullable": True})]
