"""Mallory is Admin of a tenant of her own. Nothing of another tenant reaches her by any id, filter, header, cursor or link, on any route."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings
from django.urls import get_resolver
from django.utils import timezone

from accounts.api_keys import create_api_key
from accounts.models import AccessGrant, ApiKey, Membership, Role, Tenant, ViewerToken
from archival.models import Cleanup, DualControl, PendingAct, Restore, RetentionPolicy
from logs.export import running
from logs.models import ActionDefinition, Alert, AlertRule, Delivery, DeliveryTarget, ExportJob, Forwarder, LogSettings, MaskingRule, SavedSearch
from tests.alerting import evaluate
from tests.api import LOGS, Api, assert_refused, entry, stored_count
from tests.exporting import EXPORT, EXPORTS
from tests.security.test_routes import ELSEWHERE, TABLE, routes
from tests.sequencing import now, publish_all, sequence_all
from tests.storing import new_key, new_tenant, new_token, store

# In every text of the victim's that can hold it. In capitals, for actions have to be.
PLANTED = "PLANTED_" + uuid.uuid4().hex[:12].upper()


@dataclass
class Victim:
    """Alice's tenant, with one of everything that has an address."""

    tenant: Tenant
    api: Api
    entry_ids: list[str]
    search_id: int
    key_id: int
    job_id: str
    file_url: str
    cursor: str
    # What was made by a POST to this path: its id.
    made: dict[str, Any]
    secrets: list[str]


# What is made by a POST, with the text in it.
MADE: dict[str, dict[str, Any]] = {
    "grants": {"name": PLANTED, "forced_query": f"user:{PLANTED}"},
    "viewer-tokens": {"query": f"user:{PLANTED}", "label": PLANTED},
    "erasures": {"subject": f"{PLANTED}-2", "reason": "they asked for it", "confirm": f"{PLANTED}-2"},
    "legal-holds": {"holds": "subject", "subject": f"{PLANTED}-3", "reason": f"a case of {PLANTED}"},
    "retention-policies": {"name": PLANTED, "resource_types": [PLANTED], "hot_days": 100},
    "masking-rules": {"name": PLANTED, "kind": "key", "pattern": f"{PLANTED}_secret"},
    "forwarders": {"name": PLANTED, "kind": "webhook", "url": f"https://siem.example.com/{PLANTED}", "query": f"user:{PLANTED}"},
    "delivery-targets": {"name": PLANTED, "kind": "webhook", "url": f"https://hooks.example.com/{PLANTED}"},
    "alert-rules": {"name": PLANTED, "query": f"user:{PLANTED}", "condition": {"kind": "every_match"}, "group_by": ["user_id"], "description": PLANTED},
    "archive/restores": {"from": "2001-01-01T00:00:00Z", "to": "2001-01-02T00:00:00Z", "days": 1, "query": PLANTED, "reason": f"a case of {PLANTED}"},
}


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    settings.AUDITLOG_EXPORT_URL = tmp_path_factory.mktemp("exports").as_uri()
    tenant = new_tenant()
    alice = Api(new_token(tenant, Role.ADMIN, "alice"))
    fields: dict[str, Any] = dict.fromkeys(("user_id", "action", "resource_type", "resource_id", "session_id", "request_id", "message", "user_agent"), PLANTED)
    fields |= {"metadata": {PLANTED: PLANTED}, "before": {"a": PLANTED}, "after": {"a": PLANTED + "2"}, "ip_address": "203.0.113.77"}
    entry_ids = store(tenant, [fields] * 5)
    sequence_all()
    publish_all()
    search_id = alice.post("/api/v1/saved-searches", {"name": PLANTED, "query": {"user_id": [PLANTED]}, "is_shared": True}).json()["id"]
    alice.post("/api/v1/actions", {"name": PLANTED, "title_template": PLANTED})
    alice.post(f"/api/v1/actions/{PLANTED}/schemas", {"schema": {"title": PLANTED}})
    key, _ = create_api_key(tenant, PLANTED, ["logs:read"])
    job_id = alice.post(EXPORTS, {"format": "ndjson", "query": f"user_id={PLANTED}"}).json()["id"]
    running.run(uuid.UUID(job_id))
    done = alice.get(f"{EXPORTS}/{job_id}").json()
    assert done["state"] == "done", done
    page = alice.get(LOGS, limit=2, user_id=PLANTED).json()
    assert len(page["results"]) == 2
    cursor = page["next"].partition("cursor=")[2]
    made = {path: alice.post(f"/api/v1/{path}", body).json()["id"] for path, body in MADE.items()}
    store(tenant, [fields])
    sequence_all()
    evaluate(tenant)
    made["alerts"] = Alert.objects.get(tenant=tenant).pk
    notice = {"title": PLANTED, "text": PLANTED, "severity": "INFO", "at": "2026-01-31T12:00:00Z", "data": {}}
    moments = {"created_at": now(), "begun_at": now()}
    delivery = Delivery(tenant=tenant, target_id=made["delivery-targets"], message_id=PLANTED, type="test", notice=notice, **moments)
    delivery.save()
    made["deliveries"] = str(delivery.pk)
    moment = timezone.now()
    made["pending-acts"] = PendingAct.objects.create(
        tenant=tenant, kind="erasure", what={"subject": PLANTED}, reason=PLANTED, asked_at=moment, expires_at=moment
    ).pk
    counted = {"entries_expected": 0, "query": f"user_id={PLANTED}"}
    made["cleanups"] = Cleanup.objects.create(id=uuid.uuid4(), tenant=tenant, dry_run_at=moment, before=moment, created_at=moment, **counted).pk
    made["members"] = Membership.objects.get(tenant=tenant).pk
    secrets = [PLANTED, PLANTED.lower(), *entry_ids, job_id, key.prefix, str(tenant.id)]
    return Victim(tenant, alice, entry_ids, search_id, key.pk, job_id, done["file"]["url"], cursor, made, secrets)


@pytest.fixture(scope="module")
def mallorys() -> dict[str, Api]:
    tenant = new_tenant()
    return {"admin": Api(new_token(tenant, Role.ADMIN, "mallory")), "key": Api(new_key(tenant))}


@dataclass(frozen=True)
class Named:
    """The part of an address that names something: the victim's, and one that nobody has."""

    theirs: Callable[[Victim], str]
    nobodys: str


NO_UUID = "019a2b3c-4d5e-7000-8000-00000000002a"
ENTRY = Named(lambda victim: victim.entry_ids[0], NO_UUID)
JOB = Named(lambda victim: victim.job_id, NO_UUID)
SEARCH = Named(lambda victim: str(victim.search_id), "999999999")
ACTION = Named(lambda _: PLANTED, "THERE_IS_NONE")


def made(path: str, nobodys: str = "999999999") -> Named:
    return Named(lambda victim: str(victim.made[path]), nobodys)


# Every route that names something, and what it names. A new one that is not here fails the test below.
NAMED: dict[str, dict[str, Named]] = {
    "api/v1/exports/<str:id>": {"<str:id>": JOB},
    "api/v1/exports/<str:id>/file": {"<str:id>": JOB},
    "api/v1/logs/<str:id>": {"<str:id>": ENTRY},
    "api/v1/logs/<str:id>/proof": {"<str:id>": ENTRY},
    # Sizes and tiles are of the caller's own log, whatever number they have.
    "api/v1/integrity/checkpoints/<int:size>": {"<int:size>": Named(lambda _: "5", "6")},
    "api/v1/integrity/tile/<str:level>/<path:path>": {"<str:level>": Named(lambda _: "0", "0"), "<path:path>": Named(lambda _: "000.p/5", "000.p/6")},
    "api/v1/requests/<any:request_id>": {"<any:request_id>": Named(lambda _: PLANTED, "nobodys")},
    "api/v1/saved-searches/<int:id>": {"<int:id>": SEARCH},
    "api/v1/saved-searches/<int:id>/entries": {"<int:id>": SEARCH},
    "api/v1/actions/<str:name>": {"<str:name>": ACTION},
    "api/v1/actions/<str:name>/schemas": {"<str:name>": ACTION},
    "api/v1/grants/<int:pk>": {"<int:pk>": made("grants")},
    "api/v1/erasures/<str:id>": {"<str:id>": made("erasures", NO_UUID)},
    "api/v1/legal-holds/<int:id>": {"<int:id>": made("legal-holds")},
    "api/v1/legal-holds/<int:id>/release": {"<int:id>": made("legal-holds")},
    "api/v1/archive/restores/<int:id>": {"<int:id>": made("archive/restores")},
    "api/v1/cleanups/<str:id>": {"<str:id>": made("cleanups", NO_UUID)},
    "api/v1/pending-acts/<int:id>": {"<int:id>": made("pending-acts")},
    "api/v1/pending-acts/<int:id>/confirm": {"<int:id>": made("pending-acts")},
    "api/v1/pending-acts/<int:id>/refuse": {"<int:id>": made("pending-acts")},
    "api/v1/retention-policies/<int:id>": {"<int:id>": made("retention-policies")},
    "api/v1/members/<int:pk>": {"<int:pk>": made("members")},
    "api/v1/viewer-tokens/<int:pk>": {"<int:pk>": made("viewer-tokens")},
    "api/v1/masking-rules/<int:id>": {"<int:id>": made("masking-rules")},
    "api/v1/alert-rules/<int:id>": {"<int:id>": made("alert-rules")},
    "api/v1/alert-rules/<int:id>/mute": {"<int:id>": made("alert-rules")},
    **{f"api/v1/delivery-targets/<int:id>{deed}": {"<int:id>": made("delivery-targets")} for deed in ("", "/rotate-secret", "/test", "/replay")},
    **{f"api/v1/forwarders/<int:id>{deed}": {"<int:id>": made("forwarders")} for deed in ("", "/pause", "/resume", "/replay")},
    "api/v1/deliveries/<str:id>": {"<str:id>": made("deliveries", str(uuid.UUID(int=5)))},
    "api/v1/deliveries/<str:id>/replay": {"<str:id>": made("deliveries", str(uuid.UUID(int=5)))},
    "api/v1/alerts/<int:id>": {"<int:id>": made("alerts")},
    "api/v1/alerts/<int:id>/acknowledge": {"<int:id>": made("alerts")},
    "api/v1/alerts/<int:id>/close": {"<int:id>": made("alerts")},
    # Built in for everybody: what a tenant changes of them is its own, whoever else has the same name.
    "api/v1/masking-rules/built-in/<str:name>": {"<str:name>": ACTION},
    "api/v1/api-keys/<int:pk>": {"<int:pk>": Named(lambda victim: str(victim.key_id), "999999999")},
}


def state_of(victim: Victim) -> list[Any]:
    """Everything of the victim's that a request could have changed."""
    of_tenant = {"tenant_id": victim.tenant.id}
    models = (
        ApiKey,
        ActionDefinition,
        SavedSearch,
        ExportJob,
        LogSettings,
        Membership,
        AccessGrant,
        ViewerToken,
        MaskingRule,
        Alert,
        AlertRule,
        DeliveryTarget,
        Delivery,
        Forwarder,
        Restore,
        RetentionPolicy,
        PendingAct,
        DualControl,
    )
    return [sorted(map(repr, model._default_manager.filter(**of_tenant).values())) for model in models] + [stored_count(victim.tenant)]


# What tells one request from another.
OF_EACH_REQUEST = ("X-Request-Id", "Date", "RateLimit", "RateLimit-Policy")


def call(api: Api, method: str, path: str, body: Any, **headers: str) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers of the answer, as far as they do not tell one request from another."""
    answer = api.send(method, path, body, **headers)
    content = b"".join(answer) if answer.streaming else answer.content
    return answer.status_code, content.decode(errors="replace"), {name: value for name, value in answer.items() if name not in OF_EACH_REQUEST}


def assert_nothing_of(victim: Victim, text: str, *, asked: str = "") -> None:
    """None of the victim's secrets is in the text, but for those that the caller has sent."""
    for secret in victim.secrets:
        assert secret not in text or secret in asked, (secret, text[:500])


def test_every_route_that_names_something_is_tried() -> None:
    assert {route for route, _ in routes(get_resolver().url_patterns) if "<" in route and route not in ELSEWHERE} == set(NAMED)


@pytest.mark.parametrize("who", ["admin", "key"])
@pytest.mark.parametrize(("route", "method"), [(route, method) for route, method in TABLE if "<" in route])
def test_what_another_tenant_has_is_like_what_nobody_has(victim: Victim, mallorys: dict[str, Api], route: str, method: str, who: str) -> None:
    theirs = nobodys = "/" + route
    for part, named in NAMED[route].items():
        theirs, nobodys = theirs.replace(part, named.theirs(victim)), nobodys.replace(part, named.nobodys)
    before = state_of(victim)
    status, content, headers = call(mallorys[who], method, theirs, TABLE[route, method][1])
    other_status, other_content, other_headers = call(mallorys[who], method, nobodys, TABLE[route, method][1])
    for named in NAMED[route].values():
        # By itself, for an id of 3 is in the status 403 too.
        content = re.sub(rf"\b{re.escape(named.theirs(victim))}\b", "ID", content)
        other_content = re.sub(rf"\b{re.escape(named.nobodys)}\b", "ID", other_content)
    assert (status, content) == (other_status, other_content)
    lengths = ("Content-Length",)
    assert {name: headers[name] for name in headers if name not in lengths} == {name: other_headers[name] for name in other_headers if name not in lengths}
    assert status in (403, 404)
    assert_nothing_of(victim, content + json.dumps(headers))
    assert state_of(victim) == before


@pytest.mark.parametrize("who", ["admin", "key"])
@pytest.mark.parametrize(("route", "method"), [(route, method) for route, method in TABLE if route.startswith("api/v1/")])
def test_header_that_names_another_tenant_opens_nothing(victim: Victim, mallorys: dict[str, Api], route: str, method: str, who: str) -> None:
    path = "/" + route
    for part, named in NAMED.get(route, {}).items():
        path = path.replace(part, named.theirs(victim))
    before = state_of(victim)
    status, content, headers = call(mallorys[who], method, path, TABLE[route, method][1], X_Tenant=victim.tenant.slug)
    is_open = "auth/" in route or route in ("api/v1/schema", "api/v1/docs", "api/v1/redoc", "api/v1/exports/<str:id>/file")
    assert is_open or status in (403, 404), content
    assert_nothing_of(victim, content + json.dumps(headers), asked=path)
    assert state_of(victim) == before


FILTERS = [
    {"user_id": PLANTED},
    {"action": PLANTED},
    {"resource_type": PLANTED},
    {"resource_type": PLANTED, "resource_id": PLANTED},
    {"session_id": PLANTED},
    {"request_id": PLANTED},
    {"ip_address": "203.0.113.77"},
    {"q": PLANTED},
    {"q": f"user:{PLANTED} OR action:{PLANTED}"},
    {"q": "NOT user:nobody"},
]  # fmt: skip


@pytest.mark.parametrize("who", ["admin", "key"])
@pytest.mark.parametrize("question", FILTERS, ids="&".join)
def test_filter_finds_and_counts_nothing_of_another_tenant(victim: Victim, mallorys: dict[str, Api], question: dict[str, str], who: str) -> None:
    mallory = mallorys[who]
    asked = urlencode(question)
    for path in (LOGS, f"{LOGS}?order=position&after=0", f"{EXPORT}?format=ndjson", f"{EXPORT}?format=csv", f"{LOGS}/facets", f"{LOGS}/stats?group_by=user_id"):
        status, content, headers = call(mallory, "GET", f"{path}{'&' if '?' in path else '?'}{asked}", None)
        assert status < 500
        # Her own question comes back to her in links, and in the entries about what she tried before; entries of the victim's begin with their ids.
        for id in victim.entry_ids:
            assert f'"id":"{id}"' not in content
            assert f"\n{id}," not in content
        if "user_id" in question and status == 200 and path in (LOGS, f"{EXPORT}?format=ndjson"):
            # Not by words: entries about her own searches hold what she searched for.
            assert content == "" or json.loads(content)["results"] == []
        assert victim.tenant.slug not in content + json.dumps(headers)


@pytest.mark.parametrize("who", ["admin", "key"])
def test_lists_hold_nothing_of_another_tenant(victim: Victim, mallorys: dict[str, Api], who: str) -> None:
    for route, method in TABLE:
        if method == "GET" and "<" not in route and route.startswith("api/"):
            status, content, headers = call(mallorys[who], "GET", "/" + route, None)
            assert status < 500
            # Her own entries about what she tried hold what she asked for.
            if route == "api/v1/logs" or route.startswith("api/v1/logs/"):
                assert not any(f'"id":"{id}"' in content for id in victim.entry_ids)
            else:
                assert_nothing_of(victim, content + json.dumps(headers))


@pytest.mark.parametrize("who", ["admin", "key"])
def test_cursor_of_another_tenant_is_refused(victim: Victim, mallorys: dict[str, Api], who: str) -> None:
    for query in ({"cursor": victim.cursor}, {"cursor": victim.cursor, "user_id": PLANTED, "limit": "2"}):
        problem = assert_refused(mallorys[who].get(LOGS, **query), 422, "invalid_query", fault="cursor_of_other_query")
        assert_nothing_of(victim, json.dumps(problem))
    # An export job's id is the cursor of a list: it is a place in time, and shows mallory's own only.
    assert mallorys[who].get(EXPORTS, cursor=NO_UUID).json()["results"] == mallorys[who].get(EXPORTS, cursor=victim.job_id).json()["results"] == []


def test_link_to_a_file_opens_that_file_alone(victim: Victim, mallorys: dict[str, Api]) -> None:
    """The link is the credential (docs/export.md); altered by a byte it is none."""
    path, _, query = victim.file_url.partition("?")
    assert Api(None).get(victim.file_url).status_code == 200
    other = mallorys["admin"].post(EXPORTS, {"format": "csv"}).json()["id"]
    for altered in (
        f"{path.replace(victim.job_id, other)}?{query}",
        f"{path}?{query.replace('expires=', 'expires=1')}",
        f"{path}?{query[:-1]}{'0' if query[-1] != '0' else '1'}",
        f"{path}?{query}&signature=x",
        path,
    ):
        status, content, _ = call(mallorys["admin"], "GET", altered, None)
        assert status in (403, 404, 422), altered
        assert_nothing_of(victim, content)


def test_idempotency_key_of_another_tenant_is_a_new_entry(victim: Victim, mallorys: dict[str, Api]) -> None:
    body = entry(idempotency_key="the same", timestamp="2026-01-31T12:00:00Z")
    first = victim.api.post(LOGS, body)
    second = mallorys["admin"].post(LOGS, body)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize("id", ["", "%00", "../" * 5, "*", "%25", "_", "null", "undefined", "-1", "0", "1 OR 1=1", "' OR ''='", "{}", "[]", "%E2%80%AE"])
def test_patterns_are_no_ids(victim: Victim, mallorys: dict[str, Api], id: str) -> None:
    for route, parts in NAMED.items():
        path = "/" + route
        for part in parts:
            path = path.replace(part, quote(id, safe="%"))
        status, content, _ = call(mallorys["admin"], "GET", path, None)
        assert status < 500
        assert_nothing_of(victim, content)
