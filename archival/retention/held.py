"""What legal holds keep, as conditions on entries. In doubt a hold keeps more than it says, never less."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from archival.models import HeldThing, LegalHold
from logs.errors import InvalidQuery
from logs.privacy.encryption.pseudonyms import PREFIX
from logs.search.pseudonyms import user_ids_in
from logs.search.qualifiers import Reader
from logs.search.tree import All, AnyOf, Node, Not, TextStarts
from logs.storage.reading import tenant_transaction
from logs.subjects import entries_about, meaning_pseudonyms, pseudonyms_of

logger = logging.getLogger(__name__)


def held_in(tenant_id: uuid.UUID) -> tuple[Node, ...]:
    """What the tenant's active holds keep: each a condition, of which one is enough."""
    active = list(LegalHold.objects.filter(tenant_id=tenant_id, released_at=None).order_by("id"))
    if not active:
        return ()
    with tenant_transaction(tenant_id) as cursor:
        return tuple(held_by(hold, cursor) for hold in active)


def tenants_that_hold() -> set[uuid.UUID]:
    """The tenants with an active hold."""
    return set(LegalHold.objects.filter(released_at=None).order_by().values_list("tenant_id", flat=True).distinct())


def held_by(hold: LegalHold, cursor: Any) -> Node:
    """What one hold keeps. `cursor`: in a transaction that names its tenant."""
    if hold.holds == HeldThing.SUBJECT:
        return entries_about(cursor, hold.tenant_id, hold.subject)
    if hold.holds == HeldThing.TENANT:
        return All(())
    try:
        tree: Node = Reader(hold.placed_at).tree(hold.query)
    except InvalidQuery as problem:
        logger.error("hold %d can't be read, so it keeps the whole log: %s", hold.pk, problem)
        return All(())
    for subject in sorted(set(user_ids_in(tree))):
        if names := pseudonyms_of(cursor, hold.tenant_id, subject):
            tree = meaning_pseudonyms(tree, subject, names)
    # Whose names begin so can't be told of a pseudonym.
    return with_all_pseudonyms(tree)


def with_all_pseudonyms(node: Node) -> Node:
    """The tree in which a user's beginning may be any pseudonym's. It finds more than `node`, never less. Pure."""
    match node:
        case TextStarts("user_id"):
            return AnyOf((node, TextStarts("user_id", PREFIX)))
        case All(nodes):
            return All(tuple(with_all_pseudonyms(member) for member in nodes))
        case AnyOf(nodes):
            return AnyOf(tuple(with_all_pseudonyms(member) for member in nodes))
        case Not(inner):
            return Not(_without_more(inner))
        case _:
            return node


def _without_more(node: Node) -> Node:
    """What stands below a `Not`: it may find fewer, never more."""
    match node:
        case All(nodes):
            return All(tuple(_without_more(member) for member in nodes))
        case AnyOf(nodes):
            return AnyOf(tuple(_without_more(member) for member in nodes))
        case Not(inner):
            return Not(with_all_pseudonyms(inner))
        case _:
            return node
