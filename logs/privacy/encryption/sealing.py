"""Sealing: the sensitive fields of an entry become ciphertext before anything else is made of it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeGuard

import msgspec
import psycopg
from django.core.exceptions import ImproperlyConfigured
from msgspec import Meta

from accounts.problems import Unavailable, escape_pointer
from auditlog_verify.canonical import encode_json
from logs.catalogue import EncryptionSettings, catalogue_of
from logs.privacy.content import Content
from logs.privacy.encryption import tokens
from logs.privacy.encryption.data_key import DataKey, place_of_field
from logs.privacy.encryption.master_keys import KeyLost
from logs.privacy.encryption.subject_keys import digest_secret, keys_of

logger = logging.getLogger(__name__)
# As long as a user_id may be.
MAX_SUBJECT_CHARACTERS = 256
_Subject = Annotated[str, Meta(min_length=1, max_length=MAX_SUBJECT_CHARACTERS)]


class _Glimpse(msgspec.Struct, gc=False):
    """What of an entry says whether it needs a key, and whose."""

    user_id: _Subject
    before: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    after: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    metadata: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_glimpse = msgspec.json.Decoder(_Glimpse).decode
_members = msgspec.json.Decoder(dict[str, Any]).decode
_NULL = b"null"


class Encryption:
    """How one request's entries are encrypted: the tenant's settings, and the keys of the request's data subjects."""

    def __init__(self, tenant_id: uuid.UUID, id_secret: bytes, settings: EncryptionSettings) -> None:
        self.settings = settings
        self.tenant = str(tenant_id)
        self._tenant_id = tenant_id
        self._secret = digest_secret(id_secret)
        self._keys: dict[str, DataKey] = {}

    def prepare(self, raws: Iterable[bytes]) -> None:
        """Have the keys of all these entries at hand, by one look-up. What is wrong with an entry is told by whoever checks it. Raises Unavailable."""
        subjects = set[str]()
        for raw in raws:
            try:
                given = _glimpse(raw)
                subjects.update(self._subjects_of(given))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue
        self._fetch(subjects)

    def key_of(self, subject: str) -> DataKey:
        """The key of a data subject. Raises Unavailable."""
        found = self._keys.get(subject)
        if found is None:
            self._fetch({subject})
            found = self._keys[subject]
        return found

    def subject_of(self, user_id: str, metadata: Mapping[str, Any] | None) -> str:
        """Whose entry this is: the user's, or, where the tenant says so, that of whom the metadata name."""
        if self.settings.subject_key and metadata is not None:
            named = metadata.get(self.settings.subject_key)
            if isinstance(named, str) and 0 < len(named) <= MAX_SUBJECT_CHARACTERS:
                return named
        return user_id

    def _subjects_of(self, given: _Glimpse) -> Iterable[str]:
        settings = self.settings
        if settings.pseudonymises_users:
            yield given.user_id
        metadata: dict[str, Any] | None = None
        if (settings.subject_key or settings.metadata_keys) and _is_given(given.metadata):
            metadata = _members(bytes(given.metadata))
        has_fields = any(_is_given(getattr(given, name)) for name in settings.fields)
        if has_fields or (metadata is not None and not settings.metadata_keys.isdisjoint(metadata)):
            yield self.subject_of(given.user_id, metadata)

    def _fetch(self, subjects: set[str]) -> None:
        subjects -= self._keys.keys()
        # NUL is refused by the check; PostgreSQL never sees such a subject, for its digest is what is asked for.
        if not subjects:
            return
        try:
            self._keys |= keys_of(self._tenant_id, self._secret, subjects)
        except (KeyLost, ImproperlyConfigured, psycopg.OperationalError) as error:
            logger.error("entries of the tenant %s can't be encrypted: %s", self.tenant, error)
            raise Unavailable("The keys that entries are encrypted with can't be had at the moment. Nothing was stored.") from error


class FieldSealer:
    """Seals fields of one entry, under the key of its data subject. The key is looked up or made when the first field is sealed."""

    __slots__ = ("_encryption", "_entry_id", "_key", "_subject", "_user_id")

    def __init__(self, encryption: Encryption, entry_id: str, user_id: str, metadata: Mapping[str, Any] | None) -> None:
        self._encryption = encryption
        self._entry_id = entry_id
        self._user_id = user_id
        # As sent: masking may leave nothing of it.
        self._subject = encryption.subject_of(user_id, metadata)
        self._key: DataKey | None = None

    def seal_value(self, pointer: str, value: Any) -> dict[str, Any]:
        """A JSON value at `pointer` (RFC 6901, into the entry) as a sealed value. Raises Unavailable."""
        return tokens.sealed_value(self._token(pointer, encode_json(value)))

    def seal_text(self, pointer: str, text: str) -> str:
        """A text at `pointer` as a sealed text. Raises Unavailable."""
        return tokens.sealed_text(self._token(pointer, text.encode()))

    def sealed(self, content: Content) -> Content:
        """The content with the fields sealed that the tenant has encrypted, and the user's pseudonym where it wants that. Raises Unavailable."""
        settings = self._encryption.settings
        user_id, metadata, metadata_text = content.user_id, content.metadata, content.metadata_text
        if settings.pseudonymises_users:
            user_id = self._encryption.key_of(self._user_id).pseudonym
        if metadata is not None and not settings.metadata_keys.isdisjoint(metadata):
            metadata = {
                key: self.seal_value(f"/metadata/{escape_pointer(key)}", value) if key in settings.metadata_keys and not _is_sealed(value) else value
                for key, value in metadata.items()
            }
            metadata_text = encode_json(metadata)
        before, before_text = self._whole("before", content.before, content.before_text)
        after, after_text = self._whole("after", content.after, content.after_text)
        return replace(
            content,
            user_id=user_id,
            metadata=metadata,
            metadata_text=metadata_text,
            before=before,
            before_text=before_text,
            after=after,
            after_text=after_text,
        )

    def _whole(self, name: str, value: dict[str, Any] | None, text: bytes | None) -> tuple[dict[str, Any] | None, bytes | None]:
        if text is None or name not in self._encryption.settings.fields:
            return value, text
        token = self._token(f"/{name}", text)
        return tokens.sealed_value(token), tokens.sealed_value_text(token)

    def _token(self, pointer: str, text: bytes) -> str:
        key = self._key
        if key is None:
            key = self._key = self._encryption.key_of(self._subject)
        place = place_of_field(self._encryption.tenant, self._entry_id, key.id, pointer)
        return tokens.token_of(key.id, key.seal(place, text))


def encryption_of(tenant_id: uuid.UUID) -> Encryption:
    """How the entries of one request of this tenant are encrypted."""
    catalogue = catalogue_of(tenant_id)
    return Encryption(tenant_id, catalogue.id_secret, catalogue.encryption)


def _is_given(raw: msgspec.Raw | msgspec.UnsetType) -> TypeGuard[msgspec.Raw]:
    return not isinstance(raw, msgspec.UnsetType) and bytes(raw) != _NULL


def _is_sealed(value: Any) -> bool:
    """Did a masking rule seal it already?"""
    return isinstance(value, dict) and tokens.RESERVED_KEY in value
