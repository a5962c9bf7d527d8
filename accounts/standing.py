"""What members, keys and viewer tokens may do at this moment, from their rows.

Invariants:
- A grant says exactly what its holder sees and which abilities there are. One that is over, or another tenant's, leaves nothing at all:
  no scope, no ability, no role.
- A viewer token shows at most what whoever minted it sees now, and nothing once they may not mint any more.
"""

from __future__ import annotations

import datetime
import uuid
from dataclasses import replace

from django.utils import timezone

from accounts.models import Ability, AccessGrant, ApiKey, Membership, Role, ViewerToken
from accounts.models.api_key import Scope
from accounts.principals import ABILITIES_OF_ROLE, SCOPES_OF_ROLE, VIEWER_SOURCE, Principal, abilities_of_scopes
from accounts.restrictions import NOTHING, Limits, Restriction

KEY_SOURCE = "key:"
# What is looked up with a row, so that a principal takes one query.
MEMBER_RELATED = ("tenant", "user", "grant")
KEY_RELATED = ("tenant", "grant")
VIEWER_RELATED = (
    "tenant",
    "minted_by_member__tenant",
    "minted_by_member__user",
    "minted_by_member__grant",
    "minted_by_key__tenant",
    "minted_by_key__grant",
)


def of_member(membership: Membership, *, expires_at: datetime.datetime | None = None) -> Principal:
    """The principal that a member is; `expires_at`: of their access token."""
    role = Role(membership.role)
    plain = Principal(
        tenant_id=membership.tenant_id,
        tenant_slug=membership.tenant.slug,
        source=f"user:{membership.user.get_username()}",
        scopes=SCOPES_OF_ROLE[role],
        abilities=ABILITIES_OF_ROLE[role],
        role=role,
        user_pk=membership.user_id,
        own_user_id=membership.own_user_id if role == Role.USER else None,
        expires_at=expires_at,
        log_user_id=membership.own_user_id,
    )
    grant = membership.grant
    return plain if grant is None else _under(plain, grant, grant.limits(own_user_id=membership.own_user_id))


def of_key(key: ApiKey) -> Principal:
    """The principal that a key is."""
    source = f"{KEY_SOURCE}{key.prefix}"
    plain = Principal(
        tenant_id=key.tenant_id,
        tenant_slug=key.tenant.slug,
        source=source,
        scopes=frozenset(key.scopes),
        abilities=abilities_of_scopes(key.scopes),
        expires_at=key.expires_at,
    )
    return plain if key.grant is None else _under(plain, key.grant, key.grant.limits(own_source=source))


def of_viewer(token: ViewerToken) -> Principal | None:
    """The principal that a viewer token is; None once its minter may mint no more."""
    minter = _minter_of(token)
    if minter is None or minter.tenant_id != token.tenant_id or not minter.may_mint:
        return None
    return Principal(
        tenant_id=token.tenant_id,
        tenant_slug=token.tenant.slug,
        source=f"{VIEWER_SOURCE}{token.prefix}",
        scopes=frozenset({Scope.READ.value}),
        abilities=frozenset({Ability.EXPORT.value}) if token.may_export and minter.may_export else frozenset(),
        granted=minter.restriction.joined_with(Restriction.of(Limits(forced_query=token.query, valid_until=token.expires_at))),
        expires_at=_earliest(token.expires_at, minter.expires_at),
    )


def of_now(tenant_id: uuid.UUID, source: str, user_pk: int | None) -> Principal | None:
    """Who a principal, known by its tenant, its `source` and (of a person) its user, is at this moment. None if it is nobody any more."""
    if user_pk is not None:
        member = Membership.objects.select_related(*MEMBER_RELATED).filter(user_id=user_pk, tenant_id=tenant_id).first()
        return of_member(member) if member is not None and _is_live_member(member) else None
    if source.startswith(VIEWER_SOURCE):
        tokens = ViewerToken.objects.select_related(*VIEWER_RELATED)
        token = tokens.filter(tenant_id=tenant_id, prefix=source.removeprefix(VIEWER_SOURCE)).first()
        return of_viewer(token) if token is not None and _is_live(token) else None
    if not source.startswith(KEY_SOURCE):
        return None
    key = ApiKey.objects.select_related(*KEY_RELATED).filter(tenant_id=tenant_id, prefix=source.removeprefix(KEY_SOURCE)).first()
    return of_key(key) if key is not None and _is_live(key) else None


def may_go_on(principal: Principal) -> bool:
    """May an export that `principal` began go on: do they still see the same, and may they still export, and decrypt as then?"""
    now = of_now(principal.tenant_id, principal.source, principal.user_pk)
    if now is None or not (now.may_read and now.may_export):
        return False
    return now.restriction.digest == principal.restriction.digest and (now.may_decrypt or not principal.may_decrypt)


def _minter_of(token: ViewerToken) -> Principal | None:
    member, key = token.minted_by_member, token.minted_by_key
    if member is not None:
        return of_member(member) if _is_live_member(member) else None
    return of_key(key) if key is not None and _is_live(key) else None


def _is_live_member(member: Membership) -> bool:
    return member.user.is_active and member.tenant.is_active


def _is_live(credential: ApiKey | ViewerToken) -> bool:
    is_over = credential.expires_at is not None and credential.expires_at <= timezone.now()
    return credential.revoked_at is None and not is_over and credential.tenant.is_active


def _under(plain: Principal, grant: AccessGrant, limits: Limits) -> Principal:
    """What the grant makes of a principal."""
    if grant.tenant_id != plain.tenant_id or grant.has_ended(timezone.now()):
        return replace(plain, scopes=frozenset(), abilities=frozenset(), role=None, granted=NOTHING)
    return replace(plain, abilities=grant.abilities, granted=Restriction.of(limits), expires_at=_earliest(plain.expires_at, grant.valid_until))


def _earliest(*moments: datetime.datetime | None) -> datetime.datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
