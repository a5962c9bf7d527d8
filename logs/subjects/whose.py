"""Which entries are about a data subject, and where the log itself names them."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.db import transaction
from psycopg import sql

from logs.catalogue import catalogue_of
from logs.errors import ArchiveUnavailable, TooExpensive
from logs.privacy.encryption.subject_keys import subject_digest
from logs.search.finding import Search
from logs.search.tree import All, AnyOf, MetadataIs, Node, Not, TextIs, TextStarts

# As long as a `user_id` may be.
MAX_SUBJECT_LENGTH = 512
# Plan: logs_data_key_subject.
SELECT_PSEUDONYMS = "SELECT pseudonym FROM auditlog.logs_data_key_view WHERE subject_digest = %s"
_ID = sql.SQL("e.id")


def digest_of(tenant_id: uuid.UUID, subject: str) -> bytes:
    """What stands for the subject in the tables of keys and erasures (32 bytes)."""
    return subject_digest(catalogue_of(tenant_id).id_secret, subject)


def entries_about(cursor: Any, tenant_id: uuid.UUID, subject: str) -> Node:
    """The tenant's entries about the subject: their `user_id`, or its pseudonym, or what stands under the tenant's `subject_key`.

    `cursor`: in a transaction that names the tenant. A pseudonym is known until the subject is erased.
    """
    names = (subject, *pseudonyms_of(cursor, tenant_id, subject))
    subject_key = catalogue_of(tenant_id).encryption.subject_key
    return AnyOf((TextIs("user_id", names), *((MetadataIs((subject_key,), subject),) if subject_key else ())))


def is_any_about(cursor: Any, tenant_id: uuid.UUID, subject: str, tree: Node) -> bool:
    """Does `tree` find an entry of the subject? `cursor` as for `entries_about`. Raises TooExpensive.

    Whoever asks for a user by name means those entries too that hold their pseudonym.
    """
    meant = meaning_pseudonyms(tree, subject, pseudonyms_of(cursor, tenant_id, subject))
    return _is_any(cursor, tenant_id, All((meant, entries_about(cursor, tenant_id, subject))))


def meaning_pseudonyms(node: Node, subject: str, pseudonyms: Sequence[str]) -> Node:
    """The tree in which every condition on `user_id` that holds for the subject holds for their pseudonyms as well. Pure."""
    match node:
        case TextIs("user_id", values):
            return replace(node, values=(*values, *pseudonyms)) if subject in values else node
        case TextStarts("user_id", prefix):
            return AnyOf((node, TextIs("user_id", tuple(pseudonyms)))) if subject.startswith(prefix) else node
        case All(nodes):
            return All(tuple(meaning_pseudonyms(member, subject, pseudonyms) for member in nodes))
        case AnyOf(nodes):
            return AnyOf(tuple(meaning_pseudonyms(member, subject, pseudonyms) for member in nodes))
        case Not(inner):
            return Not(meaning_pseudonyms(inner, subject, pseudonyms))
        case _:
            return node


def is_named_in_log(cursor: Any, tenant_id: uuid.UUID, pseudonyms: Sequence[str]) -> bool:
    """Does the log name its users, so that a record which names an erased one tells nothing new?

    Not where users are pseudonymised, or were when entries with one of these pseudonyms came in, or where `user_id` is not the subject.
    """
    settings = catalogue_of(tenant_id).encryption
    if settings.pseudonymises_users or settings.subject_key:
        return False
    try:
        return not (pseudonyms and _is_any(cursor, tenant_id, TextIs("user_id", tuple(pseudonyms))))
    except (TooExpensive, ArchiveUnavailable):
        return False


def name_in_log(cursor: Any, tenant_id: uuid.UUID, subject: str) -> str | None:
    """What an entry may call the subject: by name where the log names them, else by their pseudonym. None: they have none."""
    pseudonyms = pseudonyms_of(cursor, tenant_id, subject)
    return subject if is_named_in_log(cursor, tenant_id, pseudonyms) else next(iter(pseudonyms), None)


def pseudonyms_of(cursor: Any, tenant_id: uuid.UUID, subject: str) -> list[str]:
    """Every pseudonym that the subject has or had, until they were erased. `cursor` as for `entries_about`."""
    cursor.execute(SELECT_PSEUDONYMS, [digest_of(tenant_id, subject)])
    return [row[0] for row in cursor.fetchall()]


def _is_any(cursor: Any, tenant_id: uuid.UUID, tree: Node) -> bool:
    # A savepoint: a search that is cut short must not end the transaction around it.
    with transaction.atomic():
        return bool(Search(cursor, tenant_id, tree, [_ID], datetime.datetime.now(datetime.UTC)).rows(1))
