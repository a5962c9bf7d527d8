"""Signing in, counted by django-ratelimit: an attempt costs one, and there are few.

By address, and by user name where there is one: who guesses is slowed down whether they try many names or one. Its windows are fixed, so at
the turn of two a guesser has twice the amount once; that does not matter to a guesser. Without Redis nobody signs in: a guesser could
otherwise take it away and then guess as fast as they like. (Locking a name after failures is another matter.)
"""

from __future__ import annotations

import unicodedata

from django.http import HttpRequest
from django_ratelimit.core import get_usage

from accounts.addresses import client_address, counted_address
from accounts.limits.breaker import Away, Breaker
from accounts.limits.policies import Policy, Standing
from accounts.limits.rules import policies
from accounts.models import EndpointClass
from accounts.problems import Unavailable


def count_address(request: HttpRequest, breaker: Breaker) -> Standing:
    """One more attempt from this address. Raises Unavailable without Redis."""
    return _count(request, breaker, policies().of_address(EndpointClass.SIGN_IN), counted_address(client_address(request)))


def count_user_name(request: HttpRequest, breaker: Breaker, user_name: str) -> Standing:
    """One more attempt as this user, whether there is such a user or not. Raises Unavailable without Redis."""
    # Django compares names after NFKC; upper and lower case differ there, but a guesser's tries at both are tries at one person.
    return _count(request, breaker, policies().of_user_name(), unicodedata.normalize("NFKC", user_name).casefold())


def _count(request: HttpRequest, breaker: Breaker, policy: Policy, subject: str) -> Standing:
    try:
        usage = breaker.call(
            lambda: get_usage(
                request,
                group=f"{policy.endpoint_class}:{policy.subject_kind}",
                key=lambda group, request: subject,
                rate=lambda group, request: (policy.amount, policy.window_seconds),
                increment=True,
            )
        )
    except Away:
        usage = None
    if usage is None or usage["time_left"] < 0:
        raise Unavailable("Nobody can sign in at the moment. Try again shortly.", retry_after_seconds=2)
    is_refused = bool(usage["should_limit"])
    time_left = float(usage["time_left"])
    return Standing(policy, max(policy.amount - int(usage["count"]), 0), time_left, is_refused, time_left if is_refused else None)
