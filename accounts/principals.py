"""Who calls: a service with an API key or a person with an access token, as one value.

A principal is cached in each process for `AUDITLOG_CREDENTIAL_CACHE_SECONDS`; that is the longest a revoked key, a
changed role or a disabled tenant goes on working. Keys and tokens are looked up by their SHA-256, so the cache never
holds a credential.
"""

from __future__ import annotations

import datetime
import hashlib
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock

from django.conf import settings

from accounts.models import Ability, Role
from accounts.models.api_key import Scope
from accounts.restrictions import WHOLE_LOG, Limits, Restriction

MAX_CACHED = 10_000
VIEWER_SOURCE = "viewer:"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls and what they may do. `source` is what entries record: `key:<prefix>`, `user:<name>` or `viewer:<prefix>`.

    `own_user_id` is set for role User: the only `user_id` that they may post. `granted` is what a grant or a viewer token lets them see;
    without one it is the role's: the whole log, or for role User their own entries. `expires_at`: until then all this is so. `log_user_id`:
    the `user_id` by which entries mean a person.
    """

    tenant_id: uuid.UUID
    tenant_slug: str
    source: str
    scopes: frozenset[str]
    abilities: frozenset[str] = frozenset()
    role: Role | None = None
    user_pk: int | None = None
    own_user_id: str | None = None
    granted: Restriction | None = None
    expires_at: datetime.datetime | None = None
    log_user_id: str | None = None

    # Django REST framework asks its `request.user` for this.
    is_authenticated = True

    @property
    def acts_as(self) -> str:
        """The `user_id` of entries about what this principal does."""
        return self.log_user_id or self.source

    @property
    def restriction(self) -> Restriction:
        """What of the log they see."""
        if self.granted is not None:
            return self.granted
        return WHOLE_LOG if self.own_user_id is None else Restriction.of(Limits(own_user_id=self.own_user_id))

    @property
    def may_write(self) -> bool:
        return Scope.WRITE in self.scopes

    @property
    def may_read(self) -> bool:
        return Scope.READ in self.scopes

    @property
    def may_decrypt(self) -> bool:
        return Ability.DECRYPT in self.abilities

    @property
    def may_export(self) -> bool:
        return Ability.EXPORT in self.abilities

    @property
    def may_erase(self) -> bool:
        return Ability.ERASE in self.abilities

    @property
    def may_report_on_subjects(self) -> bool:
        """May they have everything about one data subject: who sees the whole log, exports, and decrypts or erases?"""
        return self.may_read and self.may_export and self.restriction.leaves_all and (self.may_decrypt or self.may_erase)

    @property
    def may_manage_retention(self) -> bool:
        return Ability.RETENTION in self.abilities

    @property
    def may_mint(self) -> bool:
        return self.may_administer or Scope.MINT in self.scopes

    @property
    def may_administer(self) -> bool:
        return self.role == Role.ADMIN

    @property
    def is_viewer(self) -> bool:
        """Do they hold a viewer token: somebody from outside, who sees entries and nothing else of the tenant?"""
        return self.source.startswith(VIEWER_SOURCE)


SCOPES_OF_ROLE: dict[str, frozenset[str]] = {
    Role.ADMIN: frozenset({Scope.READ.value, Scope.WRITE.value}),
    Role.AUDITOR: frozenset({Scope.READ.value}),
    Role.USER: frozenset({Scope.READ.value, Scope.WRITE.value}),
}

ABILITIES_OF_ROLE: dict[str, frozenset[str]] = {
    Role.ADMIN: frozenset(Ability.values),
    Role.AUDITOR: frozenset({Ability.DECRYPT.value, Ability.EXPORT.value}),
    Role.USER: frozenset({Ability.EXPORT.value}),
}
ABILITY_OF_SCOPE: dict[str, str] = {Scope.READ.value: Ability.EXPORT.value, Scope.DECRYPT.value: Ability.DECRYPT.value}


def abilities_of_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """What a key may do beyond writing and reading."""
    return frozenset(ABILITY_OF_SCOPE[scope] for scope in scopes if scope in ABILITY_OF_SCOPE)


class PrincipalCache:
    """Principals by digest of their credential, each for a few seconds. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: dict[bytes, tuple[float, Principal]] = {}
        self._lock = Lock()

    def get(self, digest: bytes) -> Principal | None:
        hit = self._found.get(digest)
        if hit is None or hit[0] < self._clock():
            return None
        expires_at = hit[1].expires_at
        if expires_at is not None and expires_at <= datetime.datetime.now(datetime.UTC):
            return None
        return hit[1]

    def put(self, digest: bytes, principal: Principal) -> None:
        with self._lock:
            if len(self._found) >= MAX_CACHED:
                self._found.clear()
            self._found[digest] = (self._clock() + settings.AUDITLOG_CREDENTIAL_CACHE_SECONDS, principal)

    def clear(self) -> None:
        with self._lock:
            self._found.clear()


cache = PrincipalCache()


def credential_digest(credential: str, tenant: str | None) -> bytes:
    """Cache key of a credential used for a tenant (`None`: the one it belongs to)."""
    return hashlib.sha256(f"{tenant!r}\x00{credential}".encode("utf-8", "surrogateescape")).digest()
