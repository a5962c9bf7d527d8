"""Which limit counts for whom: plain values, no clock, no database.

Amounts are written as django-ratelimit writes rates: `6000/m`.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from django_ratelimit.core import _split_rate as split_rate

from accounts.models import EndpointClass, SubjectKind

PRINCIPAL, TENANT, ADDRESS = SubjectKind.PRINCIPAL, SubjectKind.TENANT, SubjectKind.ADDRESS
# Above what one installation of two cores takes, where load is the product's purpose; elsewhere above what people and their scripts need.
DEFAULT_RATES: dict[EndpointClass, dict[SubjectKind, str]] = {
    EndpointClass.INGEST: {PRINCIPAL: "2000000/m", TENANT: "6000000/m", ADDRESS: "6000000/m"},
    EndpointClass.SEARCH: {PRINCIPAL: "6000/m", TENANT: "30000/m", ADDRESS: "30000/m"},
    EndpointClass.EXPORT: {PRINCIPAL: "600/m", TENANT: "3000/m", ADDRESS: "3000/m"},
    # A password is checked for a tenth of a second by design: these are seconds of a core. By principal: by user name.
    EndpointClass.SIGN_IN: {PRINCIPAL: "30/m", ADDRESS: "300/m"},
    EndpointClass.MANAGE: {PRINCIPAL: "600/m", TENANT: "3000/m", ADDRESS: "3000/m"},
    EndpointClass.OTHER: {PRINCIPAL: "6000/m", TENANT: "30000/m", ADDRESS: "30000/m"},
}


class Policy(NamedTuple):
    """At most `amount` in any `window_seconds`."""

    endpoint_class: str
    subject_kind: str
    amount: int
    window_seconds: int


class Bucket(NamedTuple):
    """What is counted: one subject's requests of one class. `subject` is unambiguous within its kind."""

    policy: Policy
    subject: str

    @property
    def key(self) -> str:
        """Its name in Redis, of which nobody can tell whose it is. A changed amount goes on with the count, a changed window begins anew."""
        policy = self.policy
        digest = hashlib.blake2b(self.subject.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        return f"{policy.endpoint_class}:{policy.subject_kind}:{policy.window_seconds}:{digest}"


class Standing(NamedTuple):
    """How a bucket stands. `retry_seconds` is set if it refused; None in it: never, for the request alone is over the limit."""

    policy: Policy
    remaining: int
    reset_seconds: float
    is_refused: bool = False
    retry_seconds: float | None = None


@dataclass(frozen=True)
class RateRow:
    """One row of `accounts.RateLimit`. `source` is the principal's, if it is for one."""

    policy: Policy
    tenant_id: uuid.UUID | None = None
    source: str | None = None


@dataclass(frozen=True)
class Policies:
    """The limits of an installation: those built in, and the rows that narrow or widen them."""

    _general: dict[tuple[str, str], Policy] = field(default_factory=dict)
    _by_tenant: dict[tuple[str, str, uuid.UUID], Policy] = field(default_factory=dict)
    _by_holder: dict[tuple[str, uuid.UUID, str], Policy] = field(default_factory=dict)
    # Made once for each caller, and gone with this value, which lives for seconds.
    _buckets: dict[tuple[str, uuid.UUID, str], tuple[Bucket, Bucket]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[RateRow]) -> Policies:
        made = cls(_general={(policy.endpoint_class, policy.subject_kind): policy for policy in _built_in()})
        for row in rows:
            policy = row.policy
            if row.tenant_id is None:
                made._general[policy.endpoint_class, policy.subject_kind] = policy
            elif row.source is None:
                made._by_tenant[policy.endpoint_class, policy.subject_kind, row.tenant_id] = policy
            else:
                made._by_holder[policy.endpoint_class, row.tenant_id, row.source] = policy
        return made

    def of_principal(self, endpoint_class: str, tenant_id: uuid.UUID, source: str) -> Policy:
        return (
            self._by_holder.get((endpoint_class, tenant_id, source))
            or self._by_tenant.get((endpoint_class, PRINCIPAL, tenant_id))
            or self._general[endpoint_class, PRINCIPAL]
        )

    def of_tenant(self, endpoint_class: str, tenant_id: uuid.UUID) -> Policy:
        return self._by_tenant.get((endpoint_class, TENANT, tenant_id)) or self._general[endpoint_class, TENANT]

    def buckets_of(self, endpoint_class: str, tenant_id: uuid.UUID, source: str) -> tuple[Bucket, Bucket]:
        """What a caller's requests are counted in: the principal's and the tenant's."""
        found = self._buckets.get((endpoint_class, tenant_id, source))
        if found is None:
            of_principal = Bucket(self.of_principal(endpoint_class, tenant_id, source), f"{tenant_id}:{source}")
            found = (of_principal, Bucket(self.of_tenant(endpoint_class, tenant_id), str(tenant_id)))
            self._buckets[endpoint_class, tenant_id, source] = found
        return found

    def of_address(self, endpoint_class: str) -> Policy:
        return self._general[endpoint_class, ADDRESS]

    def of_user_name(self) -> Policy:
        return self._general[EndpointClass.SIGN_IN, PRINCIPAL]


def _built_in() -> Iterable[Policy]:
    for endpoint_class, rates in DEFAULT_RATES.items():
        for subject_kind, rate in rates.items():
            yield Policy(endpoint_class.value, subject_kind.value, *split_rate(rate))
