"""Who failed too often has to wait before they may try again.

Invariants:

- An attempt is counted before its password is looked at, in a transaction of its own, and taken back when it succeeds. So a thousand attempts at
  once are a thousand attempts, and who dies in between has failed.
- Names that nobody has are counted like the others: nothing tells the two apart.
- Counted is by name and network first (FEW), so that who is attacked can still sign in from elsewhere; and by name alone at a higher number (MANY),
  for an attacker with many networks. Whoever is locked out by either is so for an hour at most.
- PostgreSQL counts, not Redis: nobody's guesses are forgotten because a cache was emptied.

docs/decisions/0024 has the reasons and the figures.
"""

from __future__ import annotations

import datetime
import ipaddress
import math
import unicodedata
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils.crypto import salted_hmac

from accounts.models import SignInCount
from accounts.problems import LockedOut

# Failures of a name from one network, and from all of them, before it has to wait.
FEW, MANY = 5, 50
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 60, 3600
FORGOTTEN_AFTER = datetime.timedelta(days=1)
REMOVED_AT_ONCE = 100
EVERYWHERE = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, counted. `locks_until`: when the next may come if this one fails, if that has to wait."""

    name_digest: bytes
    networks: tuple[str, ...]
    locks_until: datetime.datetime | None


def wait_seconds(failures: int, allowed: int) -> int:
    """How long to wait after so many failures in a row: nothing before `allowed`, then a minute, doubling to an hour."""
    if failures < allowed:
        return 0
    # The exponent is bounded, for the count is not.
    return min(FIRST_WAIT_SECONDS << min(failures - allowed, 10), LONGEST_WAIT_SECONDS)


def network_of(address: str | None) -> str:
    """The /24 (IPv4) or /64 (IPv6) of an address: what one attacker has as a rule."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(ipaddress.ip_network((found, 24 if found.version == 4 else 64), strict=False))


def begin(name: str, address: str | None, now: datetime.datetime) -> Attempt:
    """Count an attempt. Raises LockedOut, and counts nothing, if it comes too early."""
    digest = digest_of(name)
    # Always in this order, or two attempts could wait for each other.
    allowed = {EVERYWHERE: MANY, network_of(address): FEW}
    with transaction.atomic():
        counts = {network: _locked_row(digest, network, now) for network in allowed}
        until = max((count.locked_until for count in counts.values() if count.locked_until is not None), default=now)
        if until > now:
            raise LockedOut(math.ceil((until - now).total_seconds()))
        for network, count in counts.items():
            # What happened yesterday counts no more, the waits neither.
            count.failures = (0 if now - count.failed_at > FORGOTTEN_AFTER else count.failures) + 1
            seconds = wait_seconds(count.failures, allowed[network])
            count.failed_at = now
            count.locked_until = now + datetime.timedelta(seconds=seconds) if seconds else None
            count.save()
    locks = [count.locked_until for count in counts.values() if count.locked_until is not None]
    return Attempt(digest, tuple(allowed), max(locks, default=None))


def succeeded(attempt: Attempt) -> None:
    """Forget the failures before it, from everywhere and from its own network."""
    SignInCount.objects.filter(name_digest=attempt.name_digest, network__in=attempt.networks).delete()


def take_back(attempt: Attempt) -> None:
    """It was neither: the password was right, and a code is still to come."""
    counts = SignInCount.objects.filter(name_digest=attempt.name_digest, network__in=attempt.networks)
    counts.update(failures=Greatest(F("failures") - 1, 0), locked_until=None)


def digest_of(name: str) -> bytes:
    """The name as it is counted: however it is written (NFKC, case)."""
    written = unicodedata.normalize("NFKC", name).casefold()
    return salted_hmac("accounts.lock_out", written.encode("utf-8", "surrogatepass"), algorithm="sha256").digest()


def _locked_row(digest: bytes, network: str, now: datetime.datetime) -> SignInCount:
    """The count, locked until the end of the transaction."""
    row, is_new = SignInCount.objects.select_for_update().get_or_create(name_digest=digest, network=network, defaults={"failed_at": now})
    if is_new:
        # Each new row removes up to a hundred that count no more, so names that nobody has can't fill the table.
        old = SignInCount.objects.select_for_update(skip_locked=True).filter(failed_at__lt=now - FORGOTTEN_AFTER).exclude(pk=row.pk)
        SignInCount.objects.filter(pk__in=[one.pk for one in old[:REMOVED_AT_ONCE]]).delete()
    return row
