"""Minting, checking and revoking viewer tokens.

A token reads `alv_<prefix>_<secret>`: 12 and 43 characters; secret scanners can match the whole by
`alv_[a-z0-9]{12}_[A-Za-z0-9_-]{43}`. What it shows is its query and what its minter sees, both at the moment of each question
(`accounts.standing`). It reads; it never mints, decrypts or administers.
"""

from __future__ import annotations

import datetime

from django.db.models import QuerySet
from django.utils import timezone

from accounts import standing
from accounts.deeds import Actor
from accounts.models import ApiKey, Membership, ViewerToken
from accounts.opaque import is_stored_as, new_opaque, read_opaque
from accounts.principals import VIEWER_SOURCE, Principal
from accounts.problems import NotAllowed, NotAuthenticated

MARK = "alv_"
MIN_SECONDS = 60
MAX_SECONDS = 86_400
DEFAULT_SECONDS = 900
# So long the row of a token that is over stays, for whoever asks what it was.
KEPT_AFTERWARDS = datetime.timedelta(days=30)


def mint_viewer_token(minter: Principal, query: str, *, seconds: int, label: str = "", may_export: bool = False) -> tuple[ViewerToken, str]:
    """Make a token that shows what both `query` and the minter's own restriction leave. Answers the row and the token itself, this once.

    Raises NotAllowed if the minter may not mint, or may not export what it lets others export.
    """
    if not minter.may_mint:
        raise NotAllowed("Minting viewer tokens needs the role Admin or a key with the scope viewers:mint.")
    if may_export and not minter.may_export:
        raise NotAllowed("You may not export entries, so you can't let a viewer do it.")
    member: Membership | None = None
    key: ApiKey | None = None
    if minter.user_pk is not None:
        member = Membership.objects.filter(tenant_id=minter.tenant_id, user_id=minter.user_pk).first()
    else:
        key = ApiKey.objects.filter(tenant_id=minter.tenant_id, prefix=minter.source.removeprefix(standing.KEY_SOURCE)).first()
    if member is None and key is None:
        raise NotAllowed("You belong to this tenant no longer.")
    made = new_opaque(MARK)
    row = ViewerToken.objects.create(
        tenant_id=minter.tenant_id,
        label=label,
        prefix=made.prefix,
        digest=made.digest,
        query=query,
        may_export=may_export,
        minted_by_member=member,
        minted_by_key=key,
        expires_at=timezone.now() + datetime.timedelta(seconds=seconds),
    )
    return row, made.text


def visible_tokens(principal: Principal) -> QuerySet[ViewerToken]:
    """The tokens that a principal may see and revoke: those that it minted; Admins all of the tenant."""
    tokens = ViewerToken.objects.filter(tenant_id=principal.tenant_id)
    if principal.may_administer:
        return tokens
    return tokens.filter(minted_by_key__prefix=principal.source.removeprefix(standing.KEY_SOURCE))


def revoke_viewer_token(row: ViewerToken) -> None:
    """End a token. Every process refuses it within `AUDITLOG_CREDENTIAL_CACHE_SECONDS`."""
    ViewerToken.objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=timezone.now())


def principal_of_viewer(token: str) -> Principal:
    """The principal that `token` stands for. Raises NotAuthenticated if it is unknown or over, or its minter may mint no more."""
    given = read_opaque(MARK, token)
    row = ViewerToken.objects.select_related(*standing.VIEWER_RELATED).filter(prefix=given.prefix).first() if given else None
    if not is_stored_as(given, row.digest if row else None) or row is None:
        raise NotAuthenticated("The viewer token is not known.", code="unknown_viewer_token")
    source = f"{VIEWER_SOURCE}{row.prefix}"
    holder = Actor(row.tenant_id, source, source)
    if row.revoked_at is not None:
        raise NotAuthenticated("The viewer token was revoked.", code="revoked_viewer_token").blaming(holder)
    if row.expires_at <= timezone.now():
        raise NotAuthenticated("The viewer token has expired.", code="expired_viewer_token").blaming(holder)
    if not row.tenant.is_active:
        raise NotAuthenticated("The viewer token's tenant is not active.", code="inactive_tenant").blaming(holder)
    principal = standing.of_viewer(row)
    if principal is None:
        raise NotAuthenticated("Whoever minted the viewer token may mint no more.", code="revoked_viewer_token").blaming(holder)
    return principal


def remove_old(now: datetime.datetime) -> int:
    """Remove the rows of tokens that were over for long. Answers how many."""
    return ViewerToken.objects.filter(expires_at__lt=now - KEPT_AFTERWARDS).delete()[0]
