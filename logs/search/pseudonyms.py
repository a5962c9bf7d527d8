"""Users by the names that callers know, where the log holds pseudonyms: in what is asked, and in what is seen.

An entry from before the tenant pseudonymised its users holds their ids, so a condition on a user holds for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from accounts.principals import Principal
from logs.catalogue import catalogue_of
from logs.privacy.encryption.pseudonyms import pseudonyms_of
from logs.search.tree import All, AnyOf, Node, Not, TextIs, leaves


def with_pseudonyms(principal: Principal, asked: All, seen: tuple[Node, ...]) -> All:
    """What is asked of what is seen, each user by their pseudonym as well.

    Who may not decrypt does not learn which pseudonym is whose: what they ask stays as it is. What they may see is ours to say.
    """
    if not catalogue_of(principal.tenant_id).encryption.pseudonymises_users:
        return All((*asked.nodes, *seen))
    translated = (*asked.nodes, *seen) if principal.may_decrypt else seen
    known = pseudonyms_of(principal.tenant_id, set(user_ids_in(All(translated))))
    if not known:
        return All((*asked.nodes, *seen))
    nodes = tuple(rewritten(node, known) for node in translated)
    return All(nodes if principal.may_decrypt else (*asked.nodes, *nodes))


def rewritten(node: Node, pseudonyms: Mapping[str, str]) -> Node:
    """The tree with the pseudonyms of users beside their ids. Pure."""
    match node:
        case TextIs("user_id", values):
            return replace(node, values=tuple(dict.fromkeys([*values, *(pseudonyms[value] for value in values if value in pseudonyms)])))
        case All(nodes):
            return All(tuple(rewritten(member, pseudonyms) for member in nodes))
        case AnyOf(nodes):
            return AnyOf(tuple(rewritten(member, pseudonyms) for member in nodes))
        case Not(inner):
            return Not(rewritten(inner, pseudonyms))
        case _:
            return node


def user_ids_in(node: Node) -> Iterator[str]:
    """The users that a node names."""
    for leaf in leaves(node):
        if isinstance(leaf, TextIs) and leaf.field == "user_id":
            yield from leaf.values
