"""What a process may give out without asking Redis: lots of a limit, each for a moment.

Invariants:
- What is given out was charged in Redis before. A lot is `LOT` of the limit and `MAX_LOT` at most, less where little is left of it.
- A lot is given out within `LEASE_SECONDS` (a slice of the window, if that is shorter); what is left of it is given back with the next question.
  So in any window at most the limit is given out, and one lot for each process on top; and at most that much of a limit lies idle.
- Of a request that one bucket refuses, no bucket gives out anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from accounts.limits.counting import SLICES, Charge, Counter, Reply
from accounts.limits.policies import Bucket, Policy, Standing

LOT = 0.01
# What one process stores in a second at most.
MAX_LOT = 20_000
LEASE_SECONDS = 1.0
# A refusal is repeated for so long at most without asking Redis: somebody may have given back meanwhile.
REFUSAL_SECONDS = 0.25
MAX_LEASES = 20_000


@dataclass(slots=True)
class _Lease:
    policy: Policy
    tokens: int = 0
    remaining: int = 0
    ends_at: float = 0.0
    resets_at: float = 0.0
    slice: int = 0
    refused_cost: int = 0
    refused_until: float = 0.0
    retry_at: float | None = None


class Leases:
    """The lots of this process. Safe for threads; nobody waits for another's round trip."""

    def __init__(self, counter: Counter, clock: Callable[[], float] = time.monotonic, *, now_ms: Callable[[], int] = lambda: 0) -> None:
        self._counter = counter
        self._clock = clock
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._leases: dict[tuple[str, str, int, str], _Lease] = {}

    def take(self, buckets: Sequence[Bucket], cost: int) -> list[Standing]:
        """`cost` of each bucket, or of none: how they stand now, in their order. Raises what the counter raises."""
        now = self._clock()
        with self._lock:
            leases = [self._lease_of(bucket, now) for bucket in buckets]
            for lease in leases:
                if lease.tokens < cost or now >= lease.ends_at:
                    break
            else:
                for lease in leases:
                    lease.tokens -= cost
                return [_standing(lease, now) for lease in leases]
        return self._ask(list(zip(buckets, leases, strict=True)), cost, now)

    def _ask(self, asked: list[tuple[Bucket, _Lease]], cost: int, now: float) -> list[Standing]:
        """`take` where the lots do not suffice: one round trip, unless a refusal is known already."""
        leases = [lease for _, lease in asked]
        charges: list[tuple[_Lease, Charge]] = []
        reserved: list[_Lease] = []
        with self._lock:
            if any(_is_refused(lease, cost, now) for lease in leases):
                return [_standing(lease, now, is_refused=_is_refused(lease, cost, now)) for lease in leases]
            for bucket, lease in asked:
                if lease.tokens >= cost and now < lease.ends_at:
                    lease.tokens -= cost
                    reserved.append(lease)
                else:
                    charges.append((lease, _charge(bucket, lease, cost)))
        refusing: list[_Lease] = []
        try:
            replies = self._counter.charge([charge for _, charge in charges], now_ms=self._now_ms()) if charges else []
        except BaseException:
            self._put_back(reserved, cost)
            raise
        with self._lock:
            now = self._clock()
            for (lease, _), reply in zip(charges, replies, strict=True):
                _learn(lease, reply, cost, now)
                (reserved if reply.granted else refusing).append(lease)
        if refusing:
            self._put_back(reserved, cost)
        return [_standing(lease, now, is_refused=any(lease is one for one in refusing)) for lease in leases]

    def _put_back(self, reserved: Sequence[_Lease], cost: int) -> None:
        with self._lock:
            for lease in reserved:
                lease.tokens += cost

    def forget(self) -> None:
        """Ask Redis anew for everything. What was leased stays charged until its window is over."""
        with self._lock:
            self._leases.clear()

    def _lease_of(self, bucket: Bucket, now: float) -> _Lease:
        policy = bucket.policy
        key = (policy.endpoint_class, policy.subject_kind, policy.window_seconds, bucket.subject)
        lease = self._leases.get(key)
        if lease is None:
            if len(self._leases) >= MAX_LEASES:
                self._make_room(now)
            lease = self._leases[key] = _Lease(policy)
        elif lease.policy != policy:
            # Another amount for the same count: ask at once, and give back what may be more than the new limit.
            lease.policy, lease.ends_at, lease.refused_until = policy, 0.0, 0.0
        return lease

    def _make_room(self, now: float) -> None:
        """Forget who did not come back; if that was nobody, all. Lots that are forgotten stay charged: on the safe side."""
        self._leases = {key: lease for key, lease in self._leases.items() if now < max(lease.ends_at, lease.refused_until)}
        if len(self._leases) >= MAX_LEASES // 2:
            self._leases = {}


def _is_refused(lease: _Lease, cost: int, now: float) -> bool:
    return now < lease.refused_until and cost >= lease.refused_cost


def _charge(bucket: Bucket, lease: _Lease, cost: int) -> Charge:
    """The question for a lot; what is left of the last one goes back with it."""
    left, lease.tokens = lease.tokens, 0
    return Charge(bucket, cost, max(cost, min(int(bucket.policy.amount * LOT), MAX_LOT)), left, lease.slice)


def _learn(lease: _Lease, reply: Reply, cost: int, now: float) -> None:
    """Take the reply over; what was granted beyond `cost` is the lot that is left."""
    lease.remaining = reply.remaining
    lease.resets_at = now + reply.reset_ms / 1000
    lease.slice = reply.slice
    if reply.granted:
        lease.tokens += reply.granted - cost
        lease.ends_at = now + min(LEASE_SECONDS, lease.policy.window_seconds / SLICES)
        lease.refused_until = 0.0
        return
    lease.refused_cost = cost
    lease.retry_at = None if reply.retry_ms < 0 else now + reply.retry_ms / 1000
    lease.refused_until = now + (REFUSAL_SECONDS if lease.retry_at is None else min(REFUSAL_SECONDS, reply.retry_ms / 1000))


def _standing(lease: _Lease, now: float, *, is_refused: bool = False) -> Standing:
    retry_seconds = max(lease.retry_at - now, 0.0) if is_refused and lease.retry_at is not None else None
    return Standing(lease.policy, lease.remaining + lease.tokens, max(lease.resets_at - now, 0.0), is_refused, retry_seconds)
