"""A tenant's protection of what it is sent, as ingest asks for it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from logs.privacy.content import Content
from logs.privacy.encryption import Encryption, FieldSealer, encryption_of
from logs.privacy.masking import Masker, Seal, masked_content, masker_of


class Protection:
    """How one request's entries are masked and encrypted; what is not given is not done."""

    def __init__(self, masker: Masker | None = None, encryption: Encryption | None = None) -> None:
        self._masker = masker
        self._encryption = encryption

    def prepare(self, raws: Iterable[bytes]) -> None:
        """Get ready for these entries (their JSON text), all at once. Raises Unavailable."""
        if self._encryption is not None:
            self._encryption.prepare(raws)

    def sealer(self, entry_id: str, content: Content) -> FieldSealer | None:
        """What encrypts fields of the entry `entry_id`, whose content is as it was sent: whose key that is follows from there."""
        return None if self._encryption is None else FieldSealer(self._encryption, entry_id, content.user_id, content.metadata)

    def masked(self, content: Content, seal: Seal | None = None) -> Content:
        """The content without what rules and detectors find. Without a seal, what a rule says to encrypt is redacted."""
        return content if self._masker is None else masked_content(self._masker, content, seal)

    def sealed(self, content: Content, sealer: FieldSealer | None) -> Content:
        """The content with its sensitive fields encrypted. Raises Unavailable if the keys can't be had."""
        return content if sealer is None else sealer.sealed(content)


def protection_of(tenant_id: uuid.UUID) -> Protection:
    """The protection of the entries of one request of this tenant."""
    return Protection(masker_of(tenant_id), encryption_of(tenant_id))
