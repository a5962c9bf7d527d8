"""Streams count as searches: opening one, and each other question over it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
from django.conf import settings

from accounts.models import EndpointClass, RateLimit, SubjectKind, Tenant
from tests.storing import new_key, new_tenant
from tests.streaming import PATH, Client, client, run
from tests.web import Web, product_environment


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    server = Web(product_environment()).start()
    yield server
    server.stop()


@pytest.fixture
def tenant() -> Iterator[Tenant]:
    """A tenant that may search three times a minute."""
    tenant = new_tenant()
    row = RateLimit.objects.create(endpoint_class=EndpointClass.SEARCH, subject_kind=SubjectKind.TENANT, tenant=tenant, amount=3)
    # The web process has looked the limits up a moment ago, perhaps.
    time.sleep(settings.AUDITLOG_CREDENTIAL_CACHE_SECONDS + 0.5)
    yield tenant
    row.delete()


async def answer_to(one: Client, **question: object) -> dict[str, object]:
    await one.say(type="subscribe", **question)
    while (message := await one.next())["type"] not in ("subscribed", "error"):
        pass
    return message


def test_questions_beyond_the_limit_are_refused_and_the_stream_stays(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)

    async def scenario() -> None:
        async with client(web.url, key) as one:
            kinds = [(await answer_to(one, q=f"user:u{number}"))["type"] for number in range(3)]
            assert kinds == ["subscribed"] * 3
            refused = await answer_to(one, q="user:u4")
            assert refused["type"] == "error"
            assert "rate_limited" in str(refused)
            await one.say(type="pause")
            assert (await one.until("paused"))["type"] == "paused"
            async with client(web.url, key) as another:
                assert await another.end() == 4429

    run(scenario)


def test_streams_of_events_beyond_the_limit_are_refused(web: Web, tenant: Tenant) -> None:
    headers = {"Authorization": f"Bearer {new_key(tenant)}", "Accept": "text/event-stream"}
    for _ in range(3):
        with httpx.stream("GET", web.url + PATH, headers=headers) as stream:
            assert stream.status_code == 200
    refused = httpx.get(web.url + PATH, headers=headers)
    assert refused.status_code == 429
    assert refused.json()["code"] == "rate_limited"
    assert int(refused.headers["Retry-After"]) >= 1
