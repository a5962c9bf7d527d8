"""The stream as server-sent events, against a web server and a sequencer as they run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import pytest

from accounts.models import Tenant
from tests.sequencing import SequencerProcess
from tests.storing import new_key, new_tenant, store
from tests.streaming import PATH
from tests.web import Web, product_environment


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    server = Web(product_environment()).start()
    with SequencerProcess(product_environment()):
        yield server
    server.stop()


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@contextmanager
def listening(web: Web, key: str, headers: dict[str, str] | None = None, **parameters: Any) -> Iterator[Iterator[dict[str, Any]]]:
    """The events that come, each as its `id`, `event` and `data`."""
    sent = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream", **(headers or {})}
    with httpx.stream("GET", web.url + PATH, params=parameters, headers=sent, timeout=30) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"

        def events() -> Iterator[dict[str, Any]]:
            found: dict[str, Any] = {}
            for line in answer.iter_lines():
                if not line:
                    yield found
                    found = {}
                else:
                    name, _, value = line.partition(": ")
                    found[name] = msgspec.json.decode(value) if name == "data" else value

        yield events()


def entries(events: Iterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < count:
        event = next(events)
        if event["event"] == "entry":
            found.append(event)
    return found


def test_entries_are_events_with_their_position_as_id(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)
    with listening(web, key, user_id="bob", q="severity:>=ERROR") as events:
        assert next(events)["event"] == "subscribed"
        store(tenant, [{"user_id": "bob"}, {"user_id": "bob", "severity": "ERROR"}, {"severity": "ERROR"}])
        (event,) = entries(events, 1)
    assert event["id"] == str(event["data"]["integrity"]["position"])
    assert (event["data"]["user_id"], event["data"]["severity"]) == ("bob", "ERROR")


def test_a_listener_that_comes_back_goes_on_after_its_last_event(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)
    store(tenant, [{}] * 10)
    with listening(web, key, after=-1) as events:
        before = entries(events, 4)
    store(tenant, [{}] * 10)
    with listening(web, key, {"Last-Event-ID": before[-1]["id"]}, after=-1) as events:
        after = entries(events, 16)
    assert [int(event["id"]) for event in before + after] == list(range(20))


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [({"q": "nosuch:x"}, 422, "invalid_query"), ({"after": "x"}, 422, "invalid_query"), ({"after": "99"}, 422, "invalid_query"),
     ({"last": "-1"}, 422, "invalid_query"),
     ({"user_ID": "x"}, 422, "invalid_query"), ({"q": "nosuch:x", "after": "9" * 30}, 422, "invalid_query")],
)  # fmt: skip
def test_a_wrong_question_is_answered_by_a_problem(web: Web, tenant: Tenant, parameters: dict[str, str], status: int, code: str) -> None:
    headers = {"Authorization": f"Bearer {new_key(tenant)}", "Accept": "text/event-stream"}
    answer = httpx.get(web.url + PATH, params=parameters, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["code"], answer.headers["content-type"]) == (status, code, "application/problem+json")


def test_nobody_gets_no_stream(web: Web, tenant: Tenant) -> None:
    for headers, status in (({}, 401), ({"Authorization": f"Bearer {new_key(tenant, 'logs:write')}"}, 403)):
        answer = httpx.get(web.url + PATH, headers={"Accept": "text/event-stream", **headers}, timeout=30)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
