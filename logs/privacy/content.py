"""What of an entry goes through masking and encryption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Content:
    """What of an entry may hold secrets. JSON comes as Python values (`auditlog_verify.canonical.decode_json`) and as canonical text, which say the same.

    `masked`: JSON Pointers (RFC 6901) into the entry of what was masked; None: nothing was.
    """

    user_id: str
    message: str | None
    user_agent: str | None
    metadata: dict[str, Any] | None
    metadata_text: bytes | None
    before: dict[str, Any] | None
    before_text: bytes | None
    after: dict[str, Any] | None
    after_text: bytes | None
    masked: list[str] | None = None
    resource_type: str = ""
