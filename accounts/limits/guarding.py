"""Where requests meet the limits: the one hook of all API views, and the page at which people sign in to the admin."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django_ratelimit import UNSAFE
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.addresses import client_address, counted_address
from accounts.limits import sign_in
from accounts.limits.breaker import Away, Breaker
from accounts.limits.counting import Counter
from accounts.limits.leases import Leases
from accounts.limits.policies import Bucket, Standing
from accounts.limits.rules import policies
from accounts.models import EndpointClass
from accounts.principals import Principal
from accounts.problems import Problem, RateLimited

RateClass = EndpointClass | Mapping[str, EndpointClass]
_META = "auditlog.limits"
_breaker = Breaker()
_leases = Leases(Counter())


def writing(others: EndpointClass) -> Mapping[str, EndpointClass]:
    """The class of a view whose writing methods manage something, and whose others are of the class `others`."""
    return {"GET": others, **dict.fromkeys(UNSAFE, EndpointClass.MANAGE)}


@dataclass(slots=True)
class _Counted:
    """What a request is counted by, and how that stands."""

    endpoint_class: EndpointClass
    buckets: list[Bucket] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)


class LimitedView(APIView):
    """A view with a limit: every view of the API is one.

    `rate_class` is its class, or that of each method. Addresses are counted before anything else is looked at, principals and their tenants
    once they are known and may do what they ask; what they may not do counts for the address only.
    """

    rate_class: ClassVar[RateClass]
    # The field of the body that names who signs in.
    user_name_field: ClassVar[str | None] = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        endpoint_class = class_of(self.rate_class, request.method or "")
        count_address(request._request, endpoint_class)
        super().initial(request, *args, **kwargs)
        if endpoint_class == EndpointClass.SIGN_IN and self.user_name_field is not None and isinstance(request.data, Mapping):
            user_name = request.data.get(self.user_name_field)
            if isinstance(user_name, str):
                count_user_name(request._request, user_name)

    def check_throttles(self, request: Request) -> None:
        super().check_throttles(request)
        principal: Any = request.user
        if isinstance(principal, Principal):
            count_principal(request._request, principal)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        for name, value in headers_of(request.META.get(_META)).items():
            answer.headers[name] = value
        return answer


def class_of(rate_class: RateClass, method: str) -> EndpointClass:
    """The class of a request. A method that the view does not have costs what OPTIONS does."""
    if isinstance(rate_class, EndpointClass):
        return rate_class
    return rate_class.get("GET" if method == "HEAD" else method, EndpointClass.OTHER)


def count_address(request: HttpRequest, endpoint_class: EndpointClass) -> None:
    """Count a request for its address. Raises RateLimited; of signing in also Unavailable."""
    counted = request.META[_META] = _Counted(endpoint_class)
    if endpoint_class == EndpointClass.SIGN_IN:
        _settle(counted, [sign_in.count_address(request, _breaker)])
    else:
        _take(counted, [Bucket(policies().of_address(endpoint_class), counted_address(client_address(request)))], 1)


def count_user_name(request: HttpRequest, user_name: str) -> None:
    """Count an attempt to sign in for the name. Raises RateLimited and Unavailable."""
    _settle(request.META[_META], [sign_in.count_user_name(request, _breaker, user_name)])


def count_principal(request: HttpRequest, principal: Principal) -> None:
    """Count a request for its principal and its tenant. Raises RateLimited."""
    counted: _Counted = request.META[_META]
    if counted.endpoint_class == EndpointClass.SIGN_IN:
        return
    _take(counted, policies().buckets_of(counted.endpoint_class, principal.tenant_id, principal.source), 1)


def count_more(request: HttpRequest, cost: int) -> None:
    """Count `cost` more for all that the request is counted by: what it asks for turned out to be more than one. Raises RateLimited."""
    counted: _Counted | None = request.META.get(_META)
    if counted is not None and cost > 0:
        _take(counted, counted.buckets, cost)


def forget() -> None:
    """Forget what this process holds of any limit."""
    _leases.forget()


def headers_of(counted: _Counted | None) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10) of the limit that is used up most."""
    if counted is None or not counted.standings:
        return {}
    tightest = min(counted.standings, key=lambda standing: standing.remaining / standing.policy.amount)
    policy = tightest.policy
    return {
        "RateLimit-Policy": f'"{policy.endpoint_class}";q={policy.amount};w={policy.window_seconds}',
        "RateLimit": f'"{policy.endpoint_class}";r={tightest.remaining};t={math.ceil(tightest.reset_seconds)}',
    }


def limited_sign_in(page: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A page with a form for user name and password, counted as signing in by API is."""

    @functools.wraps(page)
    def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":
            try:
                count_address(request, EndpointClass.SIGN_IN)
                count_user_name(request, request.POST.get("username", ""))
            except Problem as problem:
                return HttpResponse(problem.detail, status=problem.status, content_type="text/plain; charset=utf-8", headers=problem.headers)
        return page(request, *args, **kwargs)

    return limited


def _take(counted: _Counted, buckets: Sequence[Bucket], cost: int) -> None:
    """Take `cost` of each bucket. Without Redis everybody goes on: a log that loses entries is worse than one that is asked too often."""
    try:
        standings = _breaker.call(lambda: _leases.take(buckets, cost))
    except Away:
        return
    if buckets is not counted.buckets:
        counted.buckets.extend(buckets)
    _settle(counted, standings, cost)


def _settle(counted: _Counted, standings: Sequence[Standing], cost: int = 1) -> None:
    """Note how the buckets stand. Raises RateLimited if one refused."""
    # Of what is counted again the later one has less left, so it is the one that is told.
    counted.standings += standings
    refusing = [standing for standing in standings if standing.is_refused]
    if refusing:
        # The one that takes longest, for before that the request can't succeed.
        worst = max(refusing, key=lambda standing: math.inf if standing.retry_seconds is None else standing.retry_seconds)
        counted.standings = [worst]
        raise _refusal(worst, cost)


def _refusal(standing: Standing, cost: int) -> RateLimited:
    policy = standing.policy
    allowed = f"{policy.amount} in {policy.window_seconds} s for one {policy.subject_kind}"
    if standing.retry_seconds is None:
        return RateLimited(f"This asks for {cost} at once; the limit is {allowed}. Send it in smaller parts.", policy.window_seconds)
    return RateLimited(f"Too many requests of this kind: the limit is {allowed}.", max(math.ceil(standing.retry_seconds), 1))
