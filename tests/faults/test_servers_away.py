"""PostgreSQL or Redis stopped: callers are told so within a bounded time, and the web process needs no restart afterwards."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from django.conf import settings

from tests.faults.rig import Rig
from tests.web import Web, wait_until

pytestmark = pytest.mark.slow
# A promise under test: connecting is given up after 5 s, a commit after 15 s. Nobody waits longer than this for an answer.
LONGEST_ANSWER_SECONDS = 20


@pytest.fixture(scope="module")
def web(rig: Rig) -> Iterator[Web]:
    with rig.web() as web:
        yield web


@pytest.fixture
def client(rig: Rig, web: Web) -> Iterator[httpx.Client]:
    with rig.client(web, timeout_seconds=LONGEST_ANSWER_SECONDS) as client:
        yield client


def entry() -> dict[str, str]:
    return {"user_id": "alice", "action": "LOGIN", "resource_type": "session", "request_id": uuid.uuid4().hex}


def found(client: httpx.Client, request_id: str) -> int:
    response = client.get("/api/v1/logs", params={"request_id": request_id})
    assert response.status_code == 200, response.text
    return len(response.json()["results"])


def is_ready(client: httpx.Client) -> bool:
    return client.get("/readyz").status_code == 200


def refused_post(client: httpx.Client, one: dict[str, str], *, is_bulk: bool = False) -> dict[str, str]:
    """Post while the database is away; the problem that it was answered with."""
    response = client.post("/api/v1/logs/bulk", json=[one]) if is_bulk else client.post("/api/v1/logs", json=one)
    assert response.status_code == 503, response.text
    assert int(response.headers["Retry-After"]) >= 1
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "auditlog_app" not in response.text
    problem: dict[str, str] = response.json()
    return problem


@contextmanager
def database_away(rig: Rig, client: httpx.Client) -> Iterator[None]:
    """The database stopped for the length of the block; afterwards the web process is ready again by itself."""
    rig.servers.postgres.stop()
    try:
        yield
    finally:
        rig.servers.postgres.start()
    wait_until(lambda: is_ready(client), "ready again")


def test_without_the_database_posts_are_refused_in_bounded_time_and_accepted_again_after_it(rig: Rig, client: httpx.Client) -> None:
    assert client.post("/api/v1/logs", json=entry()).status_code == 201
    refused = [entry() for _ in range(6)]
    with database_away(rig, client):
        # The first with the key still known to the process, the last when it has to be looked up again, and can't be.
        for number, one in enumerate(refused):
            refused_post(client, one, is_bulk=number % 2 == 1)
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["checks"]["database"] == "failed"
        assert ready.json()["checks"]["redis"] == "ok"
        assert client.get("/healthz").status_code == 200
        assert client.get("/api/v1/logs").status_code == 503
    again = entry()
    assert client.post("/api/v1/logs", json=again).status_code == 201
    assert found(client, again["request_id"]) == 1
    assert [one for one in refused if found(client, one["request_id"])] == []


def test_a_post_that_the_writer_refuses_says_that_nothing_was_stored(rig: Rig, client: httpx.Client) -> None:
    assert client.post("/api/v1/logs", json=entry()).status_code == 201
    with database_away(rig, client):
        problem = refused_post(client, entry())
    assert (problem["code"], problem["outcome"]) == ("commit_failed", "not_stored")


def test_a_post_whose_key_could_not_be_checked_says_that_nothing_was_stored(rig: Rig, client: httpx.Client) -> None:
    with database_away(rig, client):
        # Within the seconds for which a process knows a key, the writer refuses; then authentication does. Both say the same.
        is_forgotten = time.monotonic() + settings.AUDITLOG_CREDENTIAL_CACHE_SECONDS + 1
        problems = [refused_post(client, entry())]
        while time.monotonic() < is_forgotten:
            problems.append(refused_post(client, entry()))
    assert {(problem["code"], problem["outcome"]) for problem in problems} == {("commit_failed", "not_stored")}


def test_without_redis_posts_and_searches_go_on(rig: Rig, client: httpx.Client) -> None:
    rig.servers.redis.stop()
    try:
        one = entry()
        assert client.post("/api/v1/logs", json=one).status_code == 201
        assert client.post("/api/v1/logs/bulk", json=[entry(), entry()]).status_code == 201
        assert found(client, one["request_id"]) == 1
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["checks"] == {"database": "ok", "redis": "failed", "partitions": "ok", "writer": "ok"}
    finally:
        rig.servers.redis.start()
    wait_until(lambda: is_ready(client), "ready again")
