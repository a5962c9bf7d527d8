"""Every route of the API × every kind of principal. A route that is not in the table fails the build."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import Role, Tenant
from logs.storage import partitions
from tests.access import granted_token, new_grant, viewer
from tests.api import Api, assert_refused, entry
from tests.sequencing import sequence_all
from tests.storing import new_key, new_tenant, new_token, store

KINDS = (
    "nobody",
    "write_key",
    "read_key",
    "decrypt_key",
    "mint_key",
    "user",
    "auditor",
    "granted",  # An auditor whose grant's forced query finds other entries than the one that is asked for.
    "ended",  # An Admin whose grant is over.
    "viewer",  # Its query finds the entry that is asked for, and it may export.
    "admin",
    "mallory",
)
SIGMA_RULE = "title: new\nlogsource: {product: aws}\ndetection: {selection: {eventName: DeleteTrail}, condition: selection}\n"
Y, N = 2, 403  # two hundred and something; you may not
# What a row of seven names; the other kinds follow from these (`rule_of`).
MAIN_KINDS = ("nobody", "write_key", "read_key", "user", "auditor", "admin", "mallory")
# Route and method: a status, or its first digit, for each of KINDS in their order, or for each of MAIN_KINDS; then the body.
TABLE: dict[tuple[str, str], tuple[tuple[int, ...], Any]] = {
    ("api/v1/logs", "GET"): ((401, N, Y, Y, N, Y, Y, Y, N, Y, Y, Y), None),
    ("api/v1/logs", "POST"): ((401, Y, N, N, N, Y, N, N, N, N, Y, Y), entry()),
    ("api/v1/logs/bulk", "POST"): ((401, Y, N, N, N, Y, N, N, N, N, Y, Y), [entry()]),
    ("api/v1/logs/export", "GET"): ((401, N, 422, 422, N, 422, 422, 422, N, 422, 422, 422), None),
    ("api/v1/exports", "GET"): ((401, N, Y, Y, N, Y, Y, Y, N, Y, Y, Y), None),
    ("api/v1/exports", "POST"): ((401, N, Y, Y, N, Y, Y, Y, N, Y, Y, Y), {"format": "ndjson"}),
    ("api/v1/exports/<str:id>", "GET"): ((401, N, 404, 404, N, 404, 404, 404, N, 404, 404, 404), None),
    ("api/v1/exports/<str:id>", "DELETE"): ((401, N, 404, 404, N, 404, 404, 404, N, 404, 404, 404), None),
    # The signed link is the credential, and here there is none.
    ("api/v1/exports/<str:id>/file", "GET"): ((N,) * len(KINDS), None),
    ("api/v1/logs/stats", "GET"): ((401, N, Y, Y, N, Y, Y, Y, N, Y, Y, Y), None),
    ("api/v1/logs/facets", "GET"): ((401, N, Y, Y, N, Y, Y, Y, N, Y, Y, Y), None),
    # Not for who does not accept events.
    ("api/v1/logs/stream", "GET"): ((401, N, 406, 406, N, 406, 406, 406, N, 406, 406, 406), None),
    ("api/v1/logs/<str:id>", "GET"): ((401, N, Y, Y, N, Y, Y, 404, N, Y, Y, 404), None),
    ("api/v1/logs/<str:id>/proof", "GET"): ((401, N, Y, Y, N, Y, Y, 404, N, Y, Y, 404), None),
    ("api/v1/integrity/checkpoint", "GET"): ((401, N, Y, Y, N, Y, Y, Y, N, Y, Y, 404), None),
    ("api/v1/integrity/checkpoints", "GET"): ((401, N, Y, Y, N, Y, Y, Y, N, Y, Y, Y), None),
    ("api/v1/integrity/checkpoints/<int:size>", "GET"): ((401, N, 404, 404, N, 404, 404, 404, N, 404, 404, 404), None),
    ("api/v1/integrity/tile/<str:level>/<path:path>", "GET"): ((401, N, 404, 404, N, 404, 404, 404, N, 404, 404, 404), None),
    ("api/v1/integrity/consistency", "GET"): ((401, N, 422, 422, N, 422, 422, 422, N, 422, 422, 422), None),
    ("api/v1/integrity/key", "GET"): ((401, N, Y, Y, N, Y, Y, Y, N, Y, Y, Y), None),
    ("api/v1/requests/<any:request_id>", "GET"): ((401, N, Y, Y, N, Y, Y, 404, N, Y, Y, 404), None),
    ("api/v1/saved-searches", "GET"): ((401, N, Y, Y, N, Y, Y, Y, N, N, Y, Y), None),
    ("api/v1/saved-searches", "POST"): ((401, N, N, N, N, Y, Y, Y, N, N, Y, Y), {"name": "new", "query": {}}),
    ("api/v1/saved-searches/<int:id>", "GET"): ((401, N, Y, Y, N, Y, Y, Y, N, N, Y, 404), None),
    ("api/v1/saved-searches/<int:id>", "PATCH"): ((401, N, N, N, N, N, N, N, N, N, Y, 404), {"description": "x"}),
    ("api/v1/saved-searches/<int:id>/entries", "GET"): ((401, N, Y, Y, N, Y, Y, Y, N, N, Y, 404), None),
    ("api/v1/saved-searches/<int:id>", "DELETE"): ((401, N, N, N, N, N, N, N, N, N, Y, 404), None),
    ("api/v1/actions", "GET"): ((401, N, Y, Y, N, N, Y, N, N, N, Y, Y), None),
    ("api/v1/actions", "POST"): ((401, N, N, N, N, N, N, N, N, N, Y, Y), {"name": "REFUND"}),
    ("api/v1/actions/<str:name>", "GET"): ((401, N, 404, 404, N, N, 404, N, N, N, 404, 404), None),
    ("api/v1/actions/<str:name>", "PATCH"): ((401, N, N, N, N, N, N, N, N, N, 404, 404), {"title_template": "x"}),
    ("api/v1/actions/<str:name>", "DELETE"): ((401, N, N, N, N, N, N, N, N, N, 404, 404), None),
    ("api/v1/actions/<str:name>/schemas", "GET"): ((401, N, 404, 404, N, N, 404, N, N, N, 404, 404), None),
    ("api/v1/actions/<str:name>/schemas", "POST"): ((401, N, N, N, N, N, N, N, N, N, 404, 404), {"schema": {}}),
    ("api/v1/log-settings", "GET"): ((401, N, Y, Y, N, N, Y, N, N, N, Y, Y), None),
    ("api/v1/log-settings", "PATCH"): ((401, N, N, N, N, N, N, N, N, N, Y, Y), {"catalogue_mode": "off"}),
    ("api/v1/api-keys", "GET"): ((401, N, N, N, N, N, N, N, N, N, Y, Y), None),
    ("api/v1/api-keys", "POST"): ((401, N, N, N, N, N, N, N, N, N, Y, Y), {"name": "x", "scopes": ["logs:read"]}),
    ("api/v1/api-keys/<int:pk>", "DELETE"): ((401, N, N, N, N, N, N, N, N, N, 404, 404), None),
    ("api/v1/auth/me", "GET"): ((401, 401, 401, 401, 401, Y, Y, Y, Y, 401, Y, Y), None),
    ("api/v1/api-keys/<int:pk>", "PATCH"): ((401, N, N, N, N, N, N, N, N, N, 404, 404), {"grant": None}),
    ("api/v1/grants", "GET"): ((401, N, N, N, N, N, N, N, N, N, Y, Y), None),
    ("api/v1/grants", "POST"): ((401, N, N, N, N, N, N, N, N, N, 422, 422), {"name": ""}),
    ("api/v1/grants/<int:pk>", "GET"): ((401, N, N, N, N, N, N, N, N, N, 404, 404), None),
    ("api/v1/grants/<int:pk>", "PATCH"): ((401, N, N, N, N, N, N, N, N, N, 404, 404), {"is_active": False}),
    ("api/v1/grants/<int:pk>", "DELETE"): ((401, N, N, N, N, N, N, N, N, N, 404, 404), None),
    ("api/v1/members", "GET"): ((401, N, N, N, N, N, N, N, N, N, Y, Y), None),
    ("api/v1/members/<int:pk>", "PATCH"): ((401, N, N, N, N, N, N, N, N, N, 404, 404), {"role": "admin"}),
    ("api/v1/viewer-tokens", "GET"): ((401, N, N, N, Y, N, N, N, N, N, Y, Y), None),
    ("api/v1/viewer-tokens", "POST"): ((401, N, N, N, Y, N, N, N, N, N, Y, Y), {"query": "user:alice"}),
    ("api/v1/viewer-tokens/<int:pk>", "DELETE"): ((401, N, N, N, 404, N, N, N, N, N, 404, 404), None),
    ("api/v1/masking-rules", "GET"): ((401, N, Y, Y, N, N, Y, N, N, N, Y, Y), None),
    ("api/v1/masking-rules", "POST"): ((401, N, N, N, N, Y, Y), {"name": "new", "kind": "key", "pattern": "salary"}),
    ("api/v1/masking-rules/preview", "POST"): ((401, N, N, N, N, Y, Y), {"rule": {"name": "x", "kind": "key", "pattern": "salary"}}),
    ("api/v1/masking-rules/built-in/<str:name>", "GET"): ((401, N, 404, 404, N, N, 404, N, N, N, 404, 404), None),
    ("api/v1/masking-rules/built-in/<str:name>", "PATCH"): ((401, N, N, N, N, 404, 404), {"is_active": True}),
    ("api/v1/masking-rules/<int:id>", "GET"): ((401, N, 404, 404, N, N, 404, N, N, N, 404, 404), None),
    ("api/v1/masking-rules/<int:id>", "PATCH"): ((401, N, N, N, N, 404, 404), {"position": 1}),
    ("api/v1/masking-rules/<int:id>", "DELETE"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/alert-rules", "GET"): ((401, N, Y, Y, N, N, Y, N, N, N, Y, Y), None),
    ("api/v1/alert-rules", "POST"): ((401, N, N, N, N, Y, Y), {"name": "new", "query": "action:DELETE", "condition": {"kind": "every_match"}}),
    ("api/v1/alert-rules/test", "POST"): ((401, N, N, N, N, Y, Y), {"rule": {"name": "new", "query": "action:DELETE", "condition": {"kind": "every_match"}}}),
    ("api/v1/alert-rules/sigma", "POST"): ((401, N, N, N, N, Y, Y), {"sigma": SIGMA_RULE}),
    ("api/v1/alert-rules/<int:id>", "GET"): ((401, N, 404, 404, N, N, 404, N, N, N, 404, 404), None),
    ("api/v1/alert-rules/<int:id>", "PATCH"): ((401, N, N, N, N, 404, 404), {"severity": "ERROR"}),
    ("api/v1/alert-rules/<int:id>", "DELETE"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/alert-rules/<int:id>/mute", "POST"): ((401, N, N, N, N, 404, 404), {"until": None}),
    ("api/v1/alerts", "GET"): ((401, N, Y, Y, N, N, Y, N, N, N, Y, Y), None),
    ("api/v1/alerts/<int:id>", "GET"): ((401, N, 404, 404, N, N, 404, N, N, N, 404, 404), None),
    ("api/v1/alerts/<int:id>/acknowledge", "POST"): ((401, N, N, N, N, 404, 404), {}),
    ("api/v1/alerts/<int:id>/close", "POST"): ((401, N, N, N, N, 404, 404), {}),
    ("api/v1/delivery-targets", "GET"): ((401, N, N, N, N, Y, Y), None),
    ("api/v1/delivery-targets", "POST"): ((401, N, N, N, N, Y, Y), {"name": "new", "kind": "webhook", "url": "https://hooks.example.com/x"}),
    ("api/v1/delivery-targets/<int:id>", "GET"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/delivery-targets/<int:id>", "PATCH"): ((401, N, N, N, N, 404, 404), {"is_active": False}),
    ("api/v1/delivery-targets/<int:id>", "DELETE"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/delivery-targets/<int:id>/rotate-secret", "POST"): ((401, N, N, N, N, 404, 404), {}),
    ("api/v1/delivery-targets/<int:id>/test", "POST"): ((401, N, N, N, N, 404, 404), {}),
    ("api/v1/delivery-targets/<int:id>/replay", "POST"): ((401, N, N, N, N, 404, 404), {}),
    ("api/v1/deliveries", "GET"): ((401, N, N, N, N, Y, Y), None),
    ("api/v1/deliveries/<str:id>", "GET"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/deliveries/<str:id>/replay", "POST"): ((401, N, N, N, N, 404, 404), {}),
    ("api/v1/forwarders", "GET"): ((401, N, N, N, N, Y, Y), None),
    ("api/v1/forwarders", "POST"): ((401, N, N, N, N, Y, Y), {"name": "new", "kind": "webhook", "url": "https://siem.example.com/x", "is_active": False}),
    ("api/v1/forwarders/<int:id>", "GET"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/forwarders/<int:id>", "PATCH"): ((401, N, N, N, N, 404, 404), {"is_active": False}),
    ("api/v1/forwarders/<int:id>", "DELETE"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/forwarders/<int:id>/pause", "POST"): ((401, N, N, N, N, 404, 404), {}),
    ("api/v1/forwarders/<int:id>/resume", "POST"): ((401, N, N, N, N, 404, 404), {}),
    ("api/v1/forwarders/<int:id>/replay", "POST"): ((401, N, N, N, N, 404, 404), {"from_position": 0}),
    ("api/v1/erasures", "GET"): ((401, N, N, N, N, Y, Y), None),
    ("api/v1/erasures", "POST"): ((401, N, N, N, N, Y, Y), {"subject": "nobody", "reason": "asked for by nobody", "confirm": "nobody"}),
    ("api/v1/erasures/<str:id>", "GET"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/subject-reports", "POST"): ((401, N, N, Y, N, N, Y, N, N, N, Y, Y), {"subject": "nobody"}),
    ("api/v1/legal-holds", "GET"): ((401, N, N, N, N, Y, Y), None),
    # On a subject whom no other test erases.
    ("api/v1/legal-holds", "POST"): ((401, N, N, N, N, Y, Y), {"holds": "subject", "subject": "somebody", "reason": "a case of no account"}),
    ("api/v1/legal-holds/preview", "POST"): ((401, N, N, N, N, Y, Y), {"holds": "subject", "subject": "somebody"}),
    ("api/v1/legal-holds/<int:id>", "GET"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/legal-holds/<int:id>/release", "POST"): ((401, N, N, N, N, 404, 404), {"reason": "a case of no account"}),
    ("api/v1/archive/restores", "GET"): ((401, N, N, N, N, Y, Y), None),
    ("api/v1/archive/restores", "POST"): (
        (401, N, N, N, N, Y, Y),
        {"from": "2001-01-01T00:00:00Z", "to": "2001-01-02T00:00:00Z", "days": 1, "reason": "a case of no account"},
    ),
    ("api/v1/archive/restores/<int:id>", "GET"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/archive/restores/<int:id>", "DELETE"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/logs/cleanup", "DELETE"): ((401, N, N, N, N, 422, 422), None),
    ("api/v1/cleanups", "GET"): ((401, N, N, N, N, Y, Y), None),
    ("api/v1/cleanups/<str:id>", "GET"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/dual-control", "GET"): ((401, N, N, N, N, Y, Y), None),
    ("api/v1/dual-control", "PATCH"): ((401, N, N, N, N, Y, Y), {"waiting_hours": 0}),
    ("api/v1/pending-acts", "GET"): ((401, N, N, N, N, Y, Y), None),
    ("api/v1/pending-acts/<int:id>", "GET"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/pending-acts/<int:id>/confirm", "POST"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/pending-acts/<int:id>/refuse", "POST"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/retention-policies", "GET"): ((401, N, N, N, N, Y, Y), None),
    ("api/v1/retention-policies", "POST"): ((401, N, N, N, N, Y, Y), {"name": "new", "resource_types": ["nothing"], "hot_days": 100}),
    ("api/v1/retention-policies/preview", "POST"): ((401, N, N, N, N, Y, Y), {"add": {"name": "another", "hot_days": 100}}),
    ("api/v1/retention-policies/order", "PUT"): ((401, N, N, N, N, 422, 422), {"ids": [0]}),
    ("api/v1/retention-policies/<int:id>", "GET"): ((401, N, N, N, N, 404, 404), None),
    ("api/v1/retention-policies/<int:id>", "PATCH"): ((401, N, N, N, N, 404, 404), {"hot_days": 100}),
    ("api/v1/retention-policies/<int:id>", "DELETE"): ((401, N, N, N, N, 404, 404), None),
    # Open to everybody: who may not sign in is told so by its own answer.
    ("api/v1/auth/token", "POST"): ((401,) * len(KINDS), {"username": "nobody", "password": "wrong"}),
    ("api/v1/auth/token/refresh", "POST"): ((401,) * len(KINDS), {"refresh": "x"}),
    ("api/v1/auth/token/verify", "POST"): ((401,) * len(KINDS), {"token": "x"}),
    ("api/v1/auth/sign-out", "POST"): ((401,) * len(KINDS), {"refresh": "x"}),
    ("api/v1/auth/jwks", "GET"): ((Y,) * len(KINDS), None),
    (".well-known/jwks.json", "GET"): ((Y,) * len(KINDS), None),
    ("api/v1/schema", "GET"): ((Y,) * len(KINDS), None),
    ("api/v1/docs", "GET"): ((Y,) * len(KINDS), None),
    ("api/v1/redoc", "GET"): ((Y,) * len(KINDS), None),
    ("healthz", "GET"): ((Y,) * len(KINDS), None),
    ("readyz", "GET"): ((Y,) * len(KINDS), None),
    # Nobody's, for no principal is a scraper: it has a token of its own (tests/integration/auditlog_project/test_metrics.py).
    ("metrics", "GET"): ((404,) * len(KINDS), None),
}
# Pages of drf-spectacular's.
GENERATED = {"api/v1/schema", "api/v1/docs", "api/v1/redoc"}
# Not of the API: the admin and people's own pages (tests/security/test_pages.py, tests/integration/accounts); the home page leads to the documentation.
ELSEWHERE = {"", "admin/", "admin/login/", "account/"}


def routes(patterns: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, pattern.callback
        elif isinstance(pattern, URLResolver) and route not in ELSEWHERE:
            yield from routes(pattern.url_patterns, route)


def test_every_route_and_method_has_a_rule() -> None:
    found = set()
    for route, callback in routes(get_resolver().url_patterns):
        if route in ELSEWHERE:
            continue
        view = getattr(callback, "view_class", None)
        methods = [name for name in ("get", "post", "put", "patch", "delete") if hasattr(view, name)] if view else ["get"]
        found |= {(route, method.upper()) for method in methods}
    assert found == set(TABLE)


def rule_of(statuses: tuple[int, ...], kind: str) -> int:
    """The status that a row says for a kind. In a row of seven those not named are refused, or are like those whose sight alone differs."""
    if len(statuses) == len(KINDS):
        return statuses[KINDS.index(kind)]
    named = dict(zip(MAIN_KINDS, statuses, strict=True))
    if named["nobody"] != 401:
        return named.get(kind, named["nobody"])
    # What role User may not, for it is of the whole log, nobody may who sees a part.
    granted = N if named["user"] == N else named["auditor"]
    return ({"mint_key": N, "ended": N, "viewer": N, "decrypt_key": named["read_key"], "granted": granted} | named)[kind]


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture(scope="module", autouse=True)
def partitions_ahead() -> None:
    """Without them the service is not ready, rightly."""
    partitions.prepare(datetime.datetime.now(datetime.UTC))


@pytest.fixture(scope="module")
def callers(tenant: Tenant) -> dict[str, Api]:
    return {
        "nobody": Api(None),
        "write_key": Api(new_key(tenant, "logs:write")),
        "read_key": Api(new_key(tenant, "logs:read")),
        "decrypt_key": Api(new_key(tenant, "logs:read", "logs:decrypt")),
        "mint_key": Api(new_key(tenant, "viewers:mint")),
        "user": Api(new_token(tenant, Role.USER, "alice")),
        "auditor": Api(new_token(tenant, Role.AUDITOR)),
        "granted": Api(granted_token(tenant, Role.AUDITOR, new_grant(tenant, forced_query="user:bob", may_export=True))),
        "ended": Api(granted_token(tenant, Role.ADMIN, new_grant(tenant, valid_until=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)))),
        "viewer": viewer(tenant, "user:alice", may_export=True),
        "admin": Api(new_token(tenant, Role.ADMIN)),
        "mallory": Api(new_token(new_tenant(), Role.ADMIN)),
    }


@pytest.fixture(scope="module")
def entry_id(tenant: Tenant) -> str:
    id = store(tenant, [{"request_id": "a request"}])[0]
    sequence_all()
    return id


@pytest.fixture(scope="module")
def owner(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.AUDITOR))


def shared_search(owner: Api) -> str:
    """The id of a search that another member shares."""
    body = {"name": uuid.uuid4().hex, "query": {"user_id": ["alice"]}, "is_shared": True}
    return str(owner.post("/api/v1/saved-searches", body).json()["id"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("route", "method"), list(TABLE))
def test_route_answers_each_principal_by_its_rule(callers: dict[str, Api], entry_id: str, owner: Api, route: str, method: str, kind: str) -> None:
    statuses, body = TABLE[route, method]
    expected = rule_of(statuses, kind)
    path = "/" + route.replace("<str:id>", entry_id).replace("<str:name>", "THERE_IS_NONE").replace("<int:pk>", "0").replace("<int:size>", "99")
    path = path.replace("<any:request_id>", "a%20request")
    if "saved-searches/<int:id>" in path:
        path = path.replace("<int:id>", shared_search(owner))
    path = path.replace("<int:id>", "0")
    if route == "api/v1/auth/token":
        # One name for all would be locked out.
        body = body | {"username": f"nobody-{kind}"}
    answer = callers[kind].get(path) if method == "GET" else callers[kind].send(method, path, body)
    assert answer.status_code == expected or answer.status_code // 100 == expected, answer.content
    if answer.status_code in (401, 403, 404):
        shown = answer.content.decode().replace(path, "")
        for kind_of_thing in ("entry", "export job", "erasure", "clean-up"):
            shown = shown.replace(f"no {kind_of_thing} {entry_id}", "")
        assert entry_id not in shown
        assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("route", sorted({route for route, _ in TABLE if route.startswith("api/") and route not in GENERATED}))
def test_other_methods_are_refused_with_those_that_there_are(callers: dict[str, Api], entry_id: str, route: str) -> None:
    known = {method for other, method in TABLE if other == route}
    path = "/" + re.sub("<int:.*?>", "0", re.sub("<(?:str|path|any):.*?>", "x", route))
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"} - known:
        answer = callers["admin"].send(method, path)
        assert_refused(answer, 405, "method_not_allowed")
        assert set(answer["Allow"].split(", ")) - {"HEAD", "OPTIONS"} == known


@pytest.mark.parametrize("text", ["%00", "%ff", "%ed%a0%80", "%0d%0aX:%201", "a" * 5000, "..%2f..%2f", "%F0%9F%98%80", "{}", "-1", "9" * 60])
def test_strange_text_in_addresses_never_breaks_the_server(callers: dict[str, Api], text: str) -> None:
    admin = callers["admin"]
    for path in (
        "logs/",
        "actions/",
        "api-keys/",
        "requests/",
        "requests/x?cursor=",
        "requests/x?from=",
        "masking-rules/",
        "masking-rules?",
        "masking-rules/built-in/",
        "saved-searches/",
        "saved-searches?before=",
        "saved-searches/1/entries?cursor=",
        "alert-rules/",
        "alert-rules?before=",
        "alert-rules/sigma?save=",
        "alerts/",
        "alerts?state=",
        "alerts?from=",
        "alerts?rule_id=",
        "delivery-targets/",
        "delivery-targets?before=",
        "deliveries/",
        "forwarders/",
        "forwarders?before=",
        "deliveries?before=",
        "deliveries?state=",
        "deliveries?target_id=",
        "logs?user_id=",
        "logs?cursor=",
        "logs?limit=",
        "logs?from=",
        "logs?ip_address=",
        "logs?severity=",
        "logs?",
        "logs?order=position&after=",
        "logs/export?format=",
        "logs/export?format=ndjson&compression=",
        "logs/export?format=ndjson&order=",
        "logs/export?format=ndjson&limit=",
        "logs/export?format=csv&user_id=",
        "exports?cursor=",
        "exports/",
        "erasures?cursor=",
        "erasures?limit=",
        "erasures/",
        "legal-holds?before=",
        "legal-holds?active=",
        "legal-holds?due=",
        "legal-holds/",
        "archive/restores?before=",
        "archive/restores/",
        "logs?archived=",
        "cleanups/",
        "cleanups?cursor=",
        "pending-acts/",
        "pending-acts?before=",
        "pending-acts?waiting=",
        "retention-policies/",
        "retention-policies?",
        "logs/export?format=ndjson&pseudonymise=",
        "exports/019a2b3c-4d5e-7000-8000-00000000002a/file?signature=",
        "exports/019a2b3c-4d5e-7000-8000-00000000002a/file?expires=",
        "integrity/checkpoints?before=",
        "integrity/checkpoints/",
        "integrity/consistency?from=",
        "integrity/tile/0/",
        "integrity/tile/entries/",
        "integrity/tile/",
    ):
        answer = admin.send("GET", f"/api/v1/{path}{text}")
        # An export that is not read to its end holds its place.
        content = b"".join(answer) if answer.streaming else answer.content
        assert answer.status_code < 500, (path, content)
    for headers in ({"X-Tenant": text}, {"X-Request-Id": text}, {"Idempotency-Key": text}, {"Content-Encoding": text}):
        assert admin.post("/api/v1/logs", entry(), **headers).status_code < 500
