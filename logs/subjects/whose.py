"""Which entries are about a data subject."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

from django.db import transaction
from psycopg import sql

from logs.search.finding import Search
from logs.search.tree import All, AnyOf, Node, TextIs

# As long as a `user_id` may be.
MAX_SUBJECT_LENGTH = 512
_ID = sql.SQL("e.id")


def entries_about(tenant_id: uuid.UUID, subject: str) -> Node:
    """The tenant's entries whose `user_id` is the subject."""
    return AnyOf((TextIs("user_id", (subject,)),))


def is_any_about(cursor: Any, tenant_id: uuid.UUID, subject: str, tree: Node) -> bool:
    """Does `tree` find an entry of the subject? `cursor`: in a transaction that names the tenant. Raises TooExpensive."""
    wanted = All((tree, entries_about(tenant_id, subject)))
    # A savepoint: a search that is cut short must not end the transaction around it.
    with transaction.atomic():
        return bool(Search(cursor, tenant_id, wanted, [_ID], datetime.datetime.now(datetime.UTC)).rows(1))
