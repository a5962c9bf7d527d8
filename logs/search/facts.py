"""One entry as a predicate sees it, made from a row of the database or of a Parquet file."""

from __future__ import annotations

import functools
import ipaddress
import uuid
from collections.abc import Sequence
from typing import Any

from auditlog_verify.canonical import decode_json
from logs.search.words import entry_text, spaced, words_of

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Facts:
    """An entry. Texts that need work are made when they are first asked for.

    `metadata` is JSON text in the form of PostgreSQL's jsonb: words are cut from that form.
    """

    def __init__(
        self,
        *,
        id: uuid.UUID,
        severity: int,
        outcome: int,
        ip_address: str | None,
        texts: dict[str, str | None],
        message: str | None,
        changed_fields: Sequence[str],
        metadata: str | None,
    ) -> None:
        self.id = id
        self.severity = severity
        self.outcome = outcome
        self.texts = texts
        self.changed_fields = changed_fields
        self._ip_address = ip_address
        self._message = message
        self._metadata = metadata

    @functools.cached_property
    def address(self) -> Address | None:
        return None if self._ip_address is None else ipaddress.ip_address(self._ip_address.partition("/")[0])

    @functools.cached_property
    def metadata(self) -> Any:
        """The metadata as Python values, numbers exact; None if there are none."""
        return None if self._metadata is None else decode_json(self._metadata.encode())

    @functools.cached_property
    def text(self) -> str:
        return entry_text(self.texts["user_id"] or "", self.texts["resource_type"] or "", self.texts["resource_id"], self._message, self._metadata)

    @functools.cached_property
    def words(self) -> set[str]:
        return words_of(self.text)

    @functools.cached_property
    def spaced_whole(self) -> str:
        return spaced(self.text, is_whole=True)

    @functools.cached_property
    def spaced_parts(self) -> str:
        return spaced(self.text, is_whole=False)
