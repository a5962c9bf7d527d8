"""Masking of an entry's content as ingest has it: values and their canonical text, which stay in step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from auditlog_verify.canonical import encode_json
from logs.privacy.content import Content
from logs.privacy.masking.marks import Seal
from logs.privacy.masking.masker import Masker


def masked_content(masker: Masker, content: Content, seal: Seal | None) -> Content:
    """The content without what the rules find; the very same if they find nothing."""
    fields = masker.suspects(content.message, content.user_agent, content.metadata_text, content.before_text, content.after_text)
    if not fields:
        return content
    found = masker.mask(
        content.message, content.user_agent, content.metadata, content.before, content.after, seal, resource_type=content.resource_type, fields=fields
    )  # fmt: skip
    if found is None:
        return content

    def text_of(new: dict[str, Any] | None, old: dict[str, Any] | None, text: bytes | None) -> bytes | None:
        return text if new is old or new is None else encode_json(new)

    return replace(
        content,
        message=found.message,
        user_agent=found.user_agent,
        metadata=found.metadata,
        metadata_text=text_of(found.metadata, content.metadata, content.metadata_text),
        before=found.before,
        before_text=text_of(found.before, content.before, content.before_text),
        after=found.after,
        after_text=text_of(found.after, content.after, content.after_text),
        masked=found.pointers,
    )
