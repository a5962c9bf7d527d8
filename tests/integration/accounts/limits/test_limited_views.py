"""Limits as callers meet them: 429, headers, who is counted with whom, and what the admin may change."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.test import Client

from accounts import limits
from accounts.api_keys import KEY
from accounts.limits import guarding, rules
from accounts.models import ApiKey, EndpointClass, Membership, RateLimit, Role, SubjectKind, Tenant, User
from tests.api import BULK, LOGS, Api, assert_refused, entry, service_of, stored_count
from tests.storing import new_key, new_tenant, new_token

TOKEN = "/api/v1/auth/token"
STATS = "/api/v1/logs/stats"


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture(autouse=True)
def limits_go_with_the_test() -> Iterator[None]:
    yield
    RateLimit.objects.all().delete()
    rules.forget()


def limit(endpoint_class: EndpointClass, subject_kind: SubjectKind, amount: int, **more: Any) -> RateLimit:
    row = RateLimit(endpoint_class=endpoint_class, subject_kind=subject_kind, amount=amount, **more)
    row.full_clean()
    row.save()
    # As if the seconds for which a process knows its limits were over.
    rules.forget()
    return row


def key_row(key: str) -> ApiKey:
    match = KEY.fullmatch(key)
    assert match
    return ApiKey.objects.get(prefix=match[1])


def from_address(address: str, credential: str | None = None) -> Api:
    api = Api(credential)
    api._client = Client(raise_request_exception=False, REMOTE_ADDR=address)
    return api


def new_address() -> str:
    """One that no other test comes from."""
    number = uuid.uuid4().int
    return f"10.{number % 250}.{number // 251 % 250}.{number // 70_001 % 250}"


def test_every_view_of_the_api_has_a_class() -> None:
    """That there is no other view is the law of tests/laws/test_rate_classes.py."""
    assert limits.class_of(limits.writing(EndpointClass.OTHER), "DELETE") == EndpointClass.MANAGE
    assert limits.class_of(limits.writing(EndpointClass.OTHER), "HEAD") == EndpointClass.OTHER
    assert limits.class_of({"POST": EndpointClass.INGEST}, "TRACE") == EndpointClass.OTHER


def test_answers_say_how_the_tightest_limit_stands(tenant: Tenant) -> None:
    limit(EndpointClass.SEARCH, SubjectKind.TENANT, 40, tenant=tenant)
    answer = service_of(tenant).get(LOGS)
    assert answer["RateLimit-Policy"] == '"search";q=40;w=60'
    match = re.fullmatch(r'"search";r=39;t=(\d+)', answer["RateLimit"])
    assert match
    assert 0 < int(match[1]) <= 66


def test_beyond_the_limit_is_a_problem_that_says_when(tenant: Tenant) -> None:
    service = service_of(tenant)
    limit(EndpointClass.INGEST, SubjectKind.TENANT, 3, tenant=tenant)
    assert [service.post(LOGS, entry()).status_code for _ in range(3)] == [201, 201, 201]
    refused = service.post(LOGS, entry())
    assert_refused(refused, 429, "rate_limited")
    assert 1 <= int(refused["Retry-After"]) <= 66
    assert refused["RateLimit-Policy"] == '"ingest";q=3;w=60'
    assert refused["RateLimit"].startswith('"ingest";r=0;t=')
    assert refused["Cache-Control"] == "no-store"
    assert tenant.slug not in refused.content.decode()
    assert stored_count(tenant) == 3
    # Of another class there is as much as before.
    assert service.get(LOGS).status_code == 200


def test_after_the_time_that_was_told_it_works_again(tenant: Tenant) -> None:
    service = service_of(tenant)
    limit(EndpointClass.SEARCH, SubjectKind.TENANT, 2, tenant=tenant, window_seconds=1)
    # Both may fall into two slices: then there is room a little earlier than Retry-After, a whole number, says.
    while (answer := service.get(LOGS)).status_code == 200:
        pass
    assert_refused(answer, 429, "rate_limited")
    time.sleep(int(answer["Retry-After"]) + 0.3)
    assert service.get(LOGS).status_code == 200


def test_bulk_counts_entries_and_is_stored_whole_or_not_at_all(tenant: Tenant) -> None:
    service = service_of(tenant)
    limit(EndpointClass.INGEST, SubjectKind.PRINCIPAL, 100, tenant=tenant)
    answer = service.post(BULK, [entry() for _ in range(60)])
    assert answer.status_code == 201
    assert '"ingest";r=40;' in answer["RateLimit"]
    assert_refused(service.post(BULK, [entry() for _ in range(60)]), 429, "rate_limited")
    assert stored_count(tenant) == 60
    # The refused one cost what it took to count it, and no more.
    assert service.post(BULK, [entry() for _ in range(39)]).status_code == 201
    assert stored_count(tenant) == 99


def test_bulk_that_no_window_has_room_for_is_told_so(tenant: Tenant) -> None:
    limit(EndpointClass.INGEST, SubjectKind.PRINCIPAL, 10, tenant=tenant)
    problem = assert_refused(service_of(tenant).post(BULK, [entry() for _ in range(20)]), 429, "rate_limited")
    assert "smaller parts" in problem["detail"]
    assert stored_count(tenant) == 0


def test_each_key_has_a_limit_of_its_own_and_all_share_the_tenants(tenant: Tenant) -> None:
    first, second = service_of(tenant), service_of(tenant)
    limit(EndpointClass.SEARCH, SubjectKind.PRINCIPAL, 2, tenant=tenant)
    limit(EndpointClass.SEARCH, SubjectKind.TENANT, 3, tenant=tenant)
    assert [first.get(LOGS).status_code for _ in range(3)] == [200, 200, 429]
    assert [second.get(LOGS).status_code for _ in range(2)] == [200, 429]
    mallory = service_of(new_tenant())
    assert mallory.get(LOGS).status_code == 200


def test_one_key_and_one_member_may_have_limits_of_their_own(tenant: Tenant) -> None:
    favoured, other = new_key(tenant), new_key(tenant)
    token = new_token(tenant, Role.AUDITOR)
    limit(EndpointClass.SEARCH, SubjectKind.PRINCIPAL, 1, tenant=tenant)
    limit(EndpointClass.SEARCH, SubjectKind.PRINCIPAL, 3, api_key=key_row(favoured))
    limit(EndpointClass.SEARCH, SubjectKind.PRINCIPAL, 2, membership=Membership.objects.get(tenant=tenant))
    for credential, amount in ((favoured, 3), (other, 1), (token, 2)):
        api = Api(credential)
        assert [api.get(STATS).status_code for _ in range(amount + 1)] == [200] * amount + [429]


def test_an_address_is_counted_whoever_calls_from_it(tenant: Tenant) -> None:
    limit(EndpointClass.SEARCH, SubjectKind.ADDRESS, 2)
    address = new_address()
    assert from_address(address, new_key(tenant)).get(LOGS).status_code == 200
    # A key that nobody knows counts as well: whoever guesses keys is slowed down.
    assert from_address(address, "alk_abcdefghijkl_" + "x" * 43).get(LOGS).status_code == 401
    assert_refused(from_address(address, new_key(new_tenant())).get(LOGS), 429, "rate_limited")
    assert from_address(new_address(), new_key(tenant)).get(LOGS).status_code == 200


def test_ipv6_addresses_of_one_network_are_counted_together(tenant: Tenant) -> None:
    limit(EndpointClass.SEARCH, SubjectKind.ADDRESS, 1)
    network = f"2001:db8:{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}"
    assert from_address(f"{network}::1", new_key(tenant)).get(LOGS).status_code == 200
    assert_refused(from_address(f"{network}:1:2:3:4", new_key(tenant)).get(LOGS), 429, "rate_limited")


def test_a_forged_header_is_counted_for_who_sent_it(tenant: Tenant) -> None:
    limit(EndpointClass.SEARCH, SubjectKind.ADDRESS, 1)
    key, address = new_key(tenant), new_address()
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        other = new_address()
        forger = from_address(address, key)
        forger._headers[name] = f"for={other}" if name == "Forwarded" else other
        answer = forger.get(LOGS)
    assert_refused(answer, 429, "rate_limited")


def test_behind_a_trusted_proxy_each_client_is_counted(tenant: Tenant, settings: Any) -> None:
    import ipaddress

    proxy, key = new_address(), new_key(tenant)
    settings.AUDITLOG_TRUSTED_PROXIES = [ipaddress.ip_network(proxy)]
    limit(EndpointClass.SEARCH, SubjectKind.ADDRESS, 1)
    statuses = []
    for client in (clients := ["198.51.100.7", "198.51.100.8"]) + clients:
        api = from_address(proxy, key)
        api._headers["X-Forwarded-For"] = f"192.0.2.66, {client}"
        statuses.append(api.get(LOGS).status_code)
    assert statuses == [200, 200, 429, 429]


def test_https_is_believed_from_a_trusted_proxy_only(settings: Any) -> None:
    import ipaddress

    settings.SECURE_SSL_REDIRECT, settings.SECURE_PROXY_SSL_HEADER = True, ("HTTP_X_FORWARDED_PROTO", "https")
    proxy = new_address()
    settings.AUDITLOG_TRUSTED_PROXIES = [ipaddress.ip_network(proxy)]
    stranger = Client(REMOTE_ADDR=new_address()).get("/api/v1/docs", headers={"X-Forwarded-Proto": "https"})
    assert stranger.status_code == 301
    assert Client(REMOTE_ADDR=proxy).get("/api/v1/docs", headers={"X-Forwarded-Proto": "https"}).status_code == 200


def test_a_limit_from_the_admin_counts_within_seconds(tenant: Tenant) -> None:
    service = service_of(tenant)
    assert service.get(LOGS).status_code == 200
    boss = User.objects.create_superuser(f"boss-{uuid.uuid4().hex[:8]}", password="x")
    client = Client()
    client.force_login(boss)
    form = {"endpoint_class": "search", "subject_kind": "tenant", "tenant": str(tenant.pk), "amount": "2", "window_seconds": "60", "is_active": "on"}
    assert client.post("/admin/accounts/ratelimit/add/", form).status_code == 302
    deadline = time.monotonic() + settings.AUDITLOG_CREDENTIAL_CACHE_SECONDS + 2
    while service.get(LOGS).status_code == 200:
        assert time.monotonic() < deadline
    row = RateLimit.objects.get(tenant=tenant)
    assert client.post(f"/admin/accounts/ratelimit/{row.pk}/change/", form | {"amount": "20000"}).status_code == 302
    deadline = time.monotonic() + settings.AUDITLOG_CREDENTIAL_CACHE_SECONDS + 2
    while service.get(LOGS).status_code == 429:
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "fields",
    [
        {"subject_kind": "address", "with_tenant": True},
        {"subject_kind": "tenant", "with_key": True},
        {"subject_kind": "principal", "with_key": True, "with_tenant": True},
        {"endpoint_class": "sign_in", "subject_kind": "tenant"},
        {"endpoint_class": "sign_in", "subject_kind": "principal", "with_tenant": True},
        {"subject_kind": "principal", "amount": 0},
        {"subject_kind": "principal", "window_seconds": 0},
    ],
)
def test_limits_that_could_never_count_are_refused(tenant: Tenant, fields: dict[str, Any]) -> None:
    boss = User.objects.create_superuser(f"boss-{uuid.uuid4().hex[:8]}", password="x")
    client = Client()
    client.force_login(boss)
    form = {"endpoint_class": "search", "amount": "2", "window_seconds": "60", "is_active": "on", **fields}
    if form.pop("with_tenant", None):
        form["tenant"] = str(tenant.pk)
    if form.pop("with_key", None):
        form["api_key"] = str(key_row(new_key(tenant)).pk)
    answer = client.post("/admin/accounts/ratelimit/add/", form)
    assert answer.status_code == 200
    assert b"errorlist" in answer.content
    assert not RateLimit.objects.exists()


def test_there_is_one_limit_for_each() -> None:
    limit(EndpointClass.SEARCH, SubjectKind.ADDRESS, 10_000)
    with pytest.raises(ValidationError, match="change that one"):
        limit(EndpointClass.SEARCH, SubjectKind.ADDRESS, 20_000)


def test_guessing_one_password_from_everywhere_is_slowed_down() -> None:
    name = f"audrey-{uuid.uuid4().hex[:8]}"
    User.objects.create_user(name, password="correct horse battery staple")
    limit(EndpointClass.SIGN_IN, SubjectKind.PRINCIPAL, 3)
    spellings = [name, name.upper(), name, name]
    answers = [from_address(new_address()).post(TOKEN, {"username": one, "password": "wrong"}) for one in spellings]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert_refused(answers[-1], 429, "rate_limited")
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    assert answers[0]["RateLimit-Policy"] == '"sign_in";q=3;w=60'
    assert name not in answers[-1].content.decode()
    # Names that nobody has are counted just the same: the answer does not tell which there are.
    nobody = f"nobody-{uuid.uuid4().hex[:8]}"
    assert [from_address(new_address()).post(TOKEN, {"username": nobody, "password": "x"}).status_code for _ in range(4)] == [401, 401, 401, 429]


@pytest.mark.parametrize("path", ["token", "token/refresh", "token/verify", "sign-out"])
def test_guessing_from_one_address_is_slowed_down(path: str) -> None:
    limit(EndpointClass.SIGN_IN, SubjectKind.ADDRESS, 2)
    address = new_address()
    bodies = [{"username": uuid.uuid4().hex, "password": "x", "refresh": "x", "token": "x"} for _ in range(3)]
    assert [from_address(address).post(f"/api/v1/auth/{path}", body).status_code for body in bodies] == [401, 401, 429]


def test_the_admins_own_sign_in_is_counted_with_the_apis() -> None:
    name = f"boss-{uuid.uuid4().hex[:8]}"
    User.objects.create_superuser(name, password="correct horse battery staple")
    limit(EndpointClass.SIGN_IN, SubjectKind.PRINCIPAL, 2)
    form = {"username": name, "password": "wrong"}
    assert from_address(new_address()).post(TOKEN, form).status_code == 401
    page = Client(REMOTE_ADDR=new_address())
    assert page.post("/admin/login/", form).status_code == 200
    refused = page.post("/admin/login/", form | {"password": "correct horse battery staple"})
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) >= 1
    assert "_auth_user_id" not in page.session
    assert page.get("/admin/login/").status_code == 200


def test_a_refused_request_asks_the_database_nothing(tenant: Tenant, django_assert_num_queries: Any) -> None:
    service = service_of(tenant)
    limit(EndpointClass.INGEST, SubjectKind.TENANT, 1, tenant=tenant)
    assert service.post(LOGS, entry()).status_code == 201
    assert service.post(LOGS, entry()).status_code == 429
    with django_assert_num_queries(0):
        assert_refused(service.post(LOGS, b"not even JSON"), 429, "rate_limited")


def test_what_a_process_holds_of_a_limit_is_bounded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.limits.leases.MAX_LEASES", 50)
    key = new_key(new_tenant())
    for _ in range(120):
        assert from_address(new_address(), key).get("/api/v1/auth/me").status_code == 401
    assert len(guarding._leases._leases) <= 50
