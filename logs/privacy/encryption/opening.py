"""Opening: what a reader gets in place of ciphertext. Every reader of entries goes through here; a search never does.

Who may decrypt gets the clear text; of a subject that was erased `{"encrypted": true, "erased": true}` or `[erased]`; of what does not open
`{"encrypted": true, "unreadable": true}` or `[unreadable]`, and a line in the server's log. Who may not decrypt gets `{"encrypted": true}` or
`[encrypted]`, whatever the key.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec
from django.core.exceptions import ImproperlyConfigured

from accounts.problems import escape_pointer
from logs.privacy.encryption import tokens
from logs.privacy.encryption.data_key import Damaged, DataKey, place_of_field, wrap_context
from logs.privacy.encryption.master_keys import KeyLost, MasterKeys, master_keys

logger = logging.getLogger(__name__)
HIDDEN_VALUE = '{"encrypted": true}'
ERASED_VALUE = '{"encrypted": true, "erased": true}'
UNREADABLE_VALUE = '{"encrypted": true, "unreadable": true}'
HIDDEN_TEXT, ERASED_TEXT, UNREADABLE_TEXT = "[encrypted]", "[erased]", "[unreadable]"
# A masking rule may have sealed a value within a field that is sealed as a whole.
MAX_LAYERS = 2
# Plan: the table's primary key.
SELECT_LIVE_KEYS = """
SELECT id, pseudonym, subject_digest, wrapped_key, master_key_id FROM auditlog.logs_data_key_view WHERE id = ANY (%s::bigint[])
"""
_decode = msgspec.json.decode


class Fields(NamedTuple):
    """What of a stored entry may be sealed. JSON as text, as PostgreSQL prints it or canonical."""

    id: str
    message: str | None
    user_agent: str | None
    metadata: str | None
    before: str | None
    after: str | None


class Gone(NamedTuple):
    """Why a data key can't be used: its subject was erased, or (with a reason) it is lost."""

    reason: str = ""


Keys: TypeAlias = Mapping[int, DataKey | Gone]


def is_sealed(fields: Fields) -> bool:
    """Is anything in there sealed?"""
    _, message, user_agent, metadata, before, after = fields
    return (
        (before is not None and tokens.VALUE_MARK in before)
        or (after is not None and tokens.VALUE_MARK in after)
        or (metadata is not None and tokens.VALUE_MARK in metadata)
        or tokens.token_in_text(message) is not None
        or tokens.token_in_text(user_agent) is not None
    )


def hidden(fields: Fields) -> Fields:
    """The fields as whoever may not decrypt sees them. Pure."""
    id, message, user_agent, *values = fields
    texts = [HIDDEN_TEXT if tokens.token_in_text(text) else text for text in (message, user_agent)]
    return Fields(id, *texts, *(hidden_value(text) for text in values))


def hidden_value(text: str | None, replacement: str = HIDDEN_VALUE) -> str | None:
    """JSON text with each sealed value replaced."""
    return tokens.SEALED_VALUE.sub(replacement, text) if text is not None and tokens.VALUE_MARK in text else text


def metadata_of_title(text: str | None) -> str | None:
    """The metadata as titles see them, whoever reads: neither ciphertext nor clear text."""
    return hidden_value(text, f'"{HIDDEN_TEXT}"')


def open_page(database: Any, tenant_id: uuid.UUID, page: Sequence[Fields], *, may_decrypt: bool) -> list[Fields]:
    """The fields of a page of entries as their reader sees them. `database`: a cursor in a transaction that names the tenant."""
    sealed = [number for number, fields in enumerate(page) if is_sealed(fields)]
    if not sealed:
        return list(page)
    found = list(page)
    if not may_decrypt:
        for number in sealed:
            found[number] = hidden(found[number])
        return found
    keys = read_keys(database, tenant_id, [found[number] for number in sealed])
    for number in sealed:
        found[number] = opened(found[number], str(tenant_id), keys)
    return found


def read_keys(database: Any, tenant_id: uuid.UUID, page: Sequence[Fields]) -> Keys:
    """The data keys that the sealed fields of a page name, as they are at this moment: nothing is kept, so what is erased is erased at once."""
    ids = {parts[0] for fields in page for token in _tokens_of(fields) if (parts := tokens.parts_of(token)) is not None}
    if not ids:
        return {}
    try:
        masters = master_keys()
    except ImproperlyConfigured as error:
        return dict.fromkeys(ids, Gone(str(error)))
    database.execute(SELECT_LIVE_KEYS, [sorted(ids)])
    return {row[0]: key_of_row(masters, str(tenant_id), row) for row in database.fetchall()}


def opened(fields: Fields, tenant_id: str, keys: Keys) -> Fields:
    """The fields as whoever may decrypt sees them. Pure, but for log lines."""
    opener = _Opener(tenant_id, fields.id, keys)
    return Fields(
        fields.id,
        opener.text("/message", fields.message),
        opener.text("/user_agent", fields.user_agent),
        opener.json("/metadata", fields.metadata),
        opener.json("/before", fields.before),
        opener.json("/after", fields.after),
    )


def key_of_row(masters: MasterKeys, tenant_id: str, row: Sequence[Any]) -> DataKey | Gone:
    """The data key of a row with the columns of SELECT_LIVE_KEYS."""
    id, pseudonym, digest, wrapped, master_key_id = row
    if wrapped is None or digest is None:
        return Gone()
    try:
        return DataKey(id, masters.unwrap(master_key_id, bytes(wrapped), wrap_context(tenant_id, bytes(digest))), pseudonym)
    except KeyLost as error:
        return Gone(str(error))


def _tokens_of(fields: Fields) -> Iterator[str]:
    for text in (fields.message, fields.user_agent):
        token = tokens.token_in_text(text)
        if token is not None:
            yield token
    for value in (fields.metadata, fields.before, fields.after):
        if value is not None and tokens.VALUE_MARK in value:
            yield from tokens.SEALED_VALUE.findall(value)


class _Opener:
    """Opens the fields of one entry."""

    def __init__(self, tenant_id: str, entry_id: str, keys: Keys) -> None:
        self._tenant_id = tenant_id
        self._entry_id = entry_id
        self._keys = keys

    def text(self, pointer: str, text: str | None) -> str | None:
        token = tokens.token_in_text(text)
        return text if token is None else self._open(pointer, token, ERASED_TEXT, UNREADABLE_TEXT)

    def json(self, pointer: str, text: str | None, layers: int = MAX_LAYERS) -> str | None:
        """JSON text with what is sealed in it opened; all else stays letter by letter."""
        if text is None or tokens.VALUE_MARK not in text:
            return text
        # In the order in which they stand in the text, which is that of the decoded value's members.
        pointers = _pointers(_decode(text), pointer)
        return tokens.SEALED_VALUE.sub(lambda match: self._value(next(pointers, ""), match[1], layers), text)

    def _value(self, pointer: str, token: str, layers: int) -> str:
        found = self._open(pointer, token, ERASED_VALUE, UNREADABLE_VALUE)
        return found if layers == 1 else self.json(pointer, found, layers - 1) or found

    def _open(self, pointer: str, token: str, erased: str, unreadable: str) -> str:
        parts = tokens.parts_of(token)
        if parts is None:
            return self._unreadable(pointer, "it has no token", unreadable)
        key_id, sealed = parts
        key = self._keys.get(key_id, Gone(f"there is no data key {key_id}"))
        if isinstance(key, Gone):
            return self._unreadable(pointer, key.reason, unreadable) if key.reason else erased
        try:
            return key.open(place_of_field(self._tenant_id, self._entry_id, key_id, pointer), sealed).decode()
        except (Damaged, UnicodeDecodeError) as error:
            return self._unreadable(pointer, str(error), unreadable)

    def _unreadable(self, pointer: str, reason: str, unreadable: str) -> str:
        # The field only: what follows in the pointer are the tenant's own words.
        logger.warning("%s of entry %s can't be opened: %s", pointer.split("/")[1] if pointer else "a field", self._entry_id, reason)
        return unreadable


def _pointers(value: Any, pointer: str) -> Iterator[str]:
    """JSON Pointers of the sealed values, in order."""
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(value.get(tokens.RESERVED_KEY), str):
            yield pointer
        else:
            for key, member in value.items():
                yield from _pointers(member, f"{pointer}/{escape_pointer(key)}")
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _pointers(member, f"{pointer}/{index}")


def hidden_value_sql(expression: str) -> str:
    """SQL: `hidden_value` of a jsonb expression, as text. What is sealed as a whole is told without a look at its text, which takes ten times as long."""
    text = f"({expression})::text"
    return f"""CASE WHEN {expression} ? '{tokens.RESERVED_KEY}' THEN '{HIDDEN_VALUE}' WHEN strpos({text}, '{tokens.VALUE_MARK}') = 0 THEN {text}
        ELSE regexp_replace({text}, '{tokens.VALUE_PATTERN}', '{HIDDEN_VALUE}', 'g') END"""


def hidden_text_sql(expression: str) -> str:
    """SQL: `HIDDEN_TEXT` in place of a sealed text."""
    return f"CASE WHEN starts_with({expression}, '{tokens.TEXT_START}') AND {expression} ~ '{tokens.TEXT_PATTERN}' THEN '{HIDDEN_TEXT}' ELSE {expression} END"
