"""A tenant's protection of what it is sent, as ingest asks for it."""

from __future__ import annotations

import uuid
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


class Protection:
    """How one tenant's entries are masked and encrypted."""

    def masked(self, content: Content) -> Content:
        """The content without what rules and detectors find."""
        return content

    def sealed(self, entry_id: str, content: Content) -> Content:
        """The content with its sensitive fields encrypted for the entry `entry_id`."""
        return content


def protection_of(tenant_id: uuid.UUID) -> Protection:
    """The protection of a tenant's entries."""
    return Protection()
