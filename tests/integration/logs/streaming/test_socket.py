"""The stream over a WebSocket, against a web server and a sequencer as they run."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from websockets.exceptions import InvalidStatus

from accounts.api_keys import revoke_api_key
from accounts.models import AccessGrant, ApiKey, Membership, Role, Tenant
from tests.access import granted_key, new_grant, viewer_token
from tests.sequencing import SequencerProcess
from tests.storing import new_key, new_tenant, new_token, store
from tests.streaming import Client, client, entries_in, run
from tests.web import Web, product_environment


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    # What a process knows of a credential it forgets soon, for tests that wait for it.
    server = Web(product_environment(AUDITLOG_STREAM_CONNECTIONS="5", AUDITLOG_CREDENTIAL_CACHE_SECONDS="0.5")).start()
    with SequencerProcess(product_environment()):
        yield server
    server.stop()


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


# The log's own entries, those about the subscriptions themselves, left out.
POSTED = "-source:auditlog"


async def subscribed(one: Client, **question: object) -> None:
    await one.say(type="subscribe", **({"q": POSTED} | question))
    await one.until("subscribed")


def numbered(count: int, first: int = 0) -> list[dict[str, str]]:
    """Entries that can be told apart."""
    return [{"message": str(first + number)} for number in range(count)]


def positions_in(one: Client) -> list[int]:
    return [position for message in one.received for position, _ in entries_in(message)]


def numbers_in(one: Client) -> list[int]:
    """The numbers of all entries that the client has received, as they came."""
    return [int(entry["message"]) for message in one.received for _, entry in entries_in(message)]


async def to_thread(change: Callable[..., object], *arguments: object) -> None:
    """`change(*arguments)` in a thread that keeps no database connection: each test has threads of its own, and the pool ten connections."""

    def work() -> None:
        try:
            change(*arguments)
        finally:
            connection.close()

    await asyncio.to_thread(work)


def test_entries_come_as_they_get_their_positions(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)

    async def scenario() -> None:
        async with client(web.url, key) as one:
            await subscribed(one, q="user:bob")
            await to_thread(store, tenant, [{"user_id": "alice"}, {"user_id": "bob"}, {"user_id": "bob", "action": "DELETE"}])
            found = await one.entries(2)
            assert [(entry["user_id"], entry["action"]) for _, entry in found] == [("bob", "UPDATE"), ("bob", "DELETE")]
            assert [position for position, _ in found] == [entry["integrity"]["position"] for _, entry in found]

    run(scenario)


def test_missed_entries_are_replayed_and_then_it_is_live_without_gap_or_repeat(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)

    async def scenario() -> None:
        for first in range(0, 1_200, 400):
            await to_thread(store, tenant, numbered(400, first))
        async with client(web.url, key) as one:
            await one.say(type="subscribe", q=POSTED, after=-1)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(to_thread(lambda: [store(tenant, numbered(100, first)) for first in range(1_200, 2_000, 100)]))
                await one.entries(2_000)
            assert numbers_in(one) == list(range(2_000))

    run(scenario)


def test_the_last_entries_come_first_then_what_is_new(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)

    async def scenario() -> None:
        await to_thread(store, tenant, numbered(5))
        async with client(web.url, key) as one:
            await one.say(type="subscribe", q=POSTED, after=-1)
            await one.entries(5)
            one.received.clear()
            await one.say(type="subscribe", q=POSTED, last=2)
            await one.entries(2)
            await to_thread(store, tenant, numbered(1, 5))
            await one.entries(1)
            assert numbers_in(one) == [3, 4, 5]

    # And not with the next heartbeat only, 15 s later.
    run(scenario, seconds=12)


def test_a_paused_client_gets_what_it_missed_when_it_resumes(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)

    async def scenario() -> None:
        async with client(web.url, key) as one:
            await subscribed(one)
            await to_thread(store, tenant, numbered(1))
            ((position, _),) = await one.entries(1)
            await one.say(type="pause")
            assert (await one.until("paused"))["after"] >= position
            await to_thread(store, tenant, numbered(2, 1))
            async with client(web.url, key) as other:
                await other.say(type="subscribe", q=POSTED, after=-1)
                await other.entries(3)
            assert numbers_in(one) == [0]
            await one.say(type="resume")
            await one.entries(2)
            assert numbers_in(one) == [0, 1, 2]


def test_every_subscription_is_an_entry_before_anything_is_sent(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)

    async def scenario() -> None:
        async with client(web.url, key) as one, client(web.url, key) as other:
            await one.say(type="subscribe", q="action:SUBSCRIBE")
            await one.entries(1)
            await subscribed(other, q="user:bob OR user:carol")
            ((_, entry),) = await one.entries(1)
            assert (entry["action"], entry["resource_type"], entry["source"]) == ("SUBSCRIBE", "audit_log_stream", "auditlog")
            assert entry["metadata"]["asked"]["q"] == "user:bob OR user:carol"

    run(scenario)


def test_a_wrong_question_is_told_its_column_and_the_old_one_stays(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)

    async def scenario() -> None:
        async with client(web.url, key) as one:
            await subscribed(one, q="user:bob")
            await one.say(type="subscribe", q="user:bob nosuch:thing")
            problem = (await one.until("error"))["problem"]
            assert (problem["code"], problem["errors"][0]["column"]) == ("invalid_query", 10)
            await to_thread(store, tenant, [{"user_id": "bob"}])
            assert len(await one.entries(1)) == 1

    run(scenario)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"type":"nothing"}', '{"type":"subscribe","x":1}', '{"type":"subscribe","after":-2}', "\x00", "[" * 9_000])
def test_what_is_no_message_is_refused_and_the_connection_stays(web: Web, tenant: Tenant, text: str) -> None:
    key = new_key(tenant)

    async def scenario() -> None:
        async with client(web.url, key) as one:
            await one.connection.send(text)
            assert (await one.until("error"))["problem"]["code"] == "bad_request"
            await subscribed(one)

    run(scenario)


def test_a_position_that_there_is_not_is_refused(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)

    async def scenario() -> None:
        async with client(web.url, key) as one:
            await one.say(type="subscribe", after=7)
            problem = (await one.until("error"))["problem"]
            assert problem["errors"][0]["code"] == "unknown_position"

    run(scenario)


# -- who may listen --------------------------------------------------------------------------------------------------


def test_a_credential_may_come_in_the_first_message_or_as_a_subprotocol(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)

    async def scenario() -> None:
        async with client(web.url, None) as one:
            await one.say(type="authenticate", token=key)
            await subscribed(one)
        async with client(web.url, None, subprotocols=["auditlog.v1", f"bearer.{key}"]) as one:
            assert one.connection.subprotocol == "auditlog.v1"
            await subscribed(one)

    run(scenario)


def test_nobody_is_told_so_and_closed(web: Web, tenant: Tenant) -> None:
    writer = new_key(tenant, "logs:write")

    async def scenario() -> None:
        async with client(web.url, None) as one:
            await one.say(type="subscribe")
            assert await one.end() == 4401
        async with client(web.url, "alk_abcdefghijkl_" + "x" * 43) as one:
            assert await one.end() == 4401
            assert one.received[-1]["problem"]["code"] == "unknown_api_key"
        async with client(web.url, writer) as one:
            assert await one.end() == 4403

    run(scenario)


def test_other_tenants_and_other_users_entries_never_come(web: Web, tenant: Tenant) -> None:
    mallory, user = new_key(new_tenant()), new_token(tenant, Role.USER, "alice")

    async def scenario() -> None:
        async with client(web.url, mallory) as one, client(web.url, user) as other:
            await subscribed(one)
            await subscribed(other)
            await to_thread(store, tenant, [{"user_id": "bob"}, {"user_id": "alice"}])
            assert [entry["user_id"] for _, entry in await other.entries(1)] == ["alice"]
            await subscribed(one, after=-1)
            await one.say(type="pause")
            await one.until("paused")
            assert positions_in(one) == []

    run(scenario)


def test_a_revoked_key_is_cut_within_seconds(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)

    async def scenario() -> None:
        async with client(web.url, key) as one:
            await subscribed(one)
            await to_thread(lambda: revoke_api_key(ApiKey.objects.get(tenant=tenant)))
            assert await one.end() == 4401
            assert one.received[-1]["problem"]["code"] == "revoked_api_key"

    run(scenario)


def test_a_changed_role_changes_what_comes(web: Web, tenant: Tenant) -> None:
    token = new_token(tenant, Role.AUDITOR, "alice")

    async def scenario() -> None:
        async with client(web.url, token) as one:
            await subscribed(one)
            await to_thread(store, tenant, [{"user_id": "bob"}])
            assert len(await one.entries(1)) == 1
            await to_thread(lambda: Membership.objects.filter(tenant=tenant).update(role=Role.USER))
            # The cache of credentials, and the look at them every two seconds.
            await asyncio.sleep(3.5)
            await to_thread(store, tenant, [{"user_id": "bob"}, {"user_id": "alice"}])
            assert [entry["user_id"] for _, entry in await one.entries(1)] == ["alice"]

    run(scenario)


def test_a_viewer_sees_what_its_query_and_its_minter_leave(web: Web, tenant: Tenant) -> None:
    grant = new_grant(tenant, resource_types=["invoice"])
    token = viewer_token(tenant, "user:(alice bob)", minter=granted_key(tenant, grant))
    entries = [{"user_id": user, "resource_type": kind} for kind in ("account", "invoice") for user in ("carol", "bob", "alice")]

    async def scenario() -> None:
        async with client(web.url, token) as one:
            await subscribed(one)
            await to_thread(lambda: store(tenant, entries))
            assert [(entry["user_id"], entry["resource_type"]) for _, entry in await one.entries(2)] == [("bob", "invoice"), ("alice", "invoice")]
            await to_thread(lambda: AccessGrant.objects.filter(pk=grant.pk).update(forced_query="-user:bob"))
            await asyncio.sleep(3.5)
            await to_thread(lambda: store(tenant, entries))
            assert [entry["user_id"] for _, entry in await one.entries(1)] == ["alice"]
            await to_thread(lambda: AccessGrant.objects.filter(pk=grant.pk).update(is_active=False))
            assert await one.end() == 4401
            assert one.received[-1]["problem"]["code"] == "revoked_viewer_token"

    run(scenario)


def test_a_grant_that_is_over_ends_the_stream(web: Web, tenant: Tenant) -> None:
    grant = new_grant(tenant)
    key = granted_key(tenant, grant)

    async def scenario() -> None:
        async with client(web.url, key) as one:
            await subscribed(one)
            await to_thread(lambda: AccessGrant.objects.filter(pk=grant.pk).update(valid_until=datetime.datetime.now(datetime.UTC)))
            assert await one.end() == 4403

    run(scenario)


def test_a_principal_has_a_bounded_number_of_streams(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)

    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as stack:
            several = [await stack.enter_async_context(client(web.url, key)) for _ in range(5)]
            for one in several:
                await subscribed(one)
            async with client(web.url, key) as too_many:
                assert await too_many.end() == 4429
            await several[0].connection.close()
            async with client(web.url, key) as again:
                await subscribed(again)

    run(scenario)


def test_a_foreign_page_may_not_open_a_stream(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)

    async def scenario() -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with client(web.url, key, origin="https://evil.example"):
                pass
        assert refused.value.response.status_code == 403
        async with client(web.url, key, origin="http://localhost:8000") as one:
            await subscribed(one)

    run(scenario)


def test_a_client_that_does_not_read_is_told_its_gap_and_closed_and_holds_up_no_other(web: Web, tenant: Tenant) -> None:
    key = new_key(tenant)

    async def scenario() -> None:
        long = "x" * 20_000
        async with client(web.url, key) as slow, client(web.url, key) as quick:
            await subscribed(slow)
            await subscribed(quick)
            slow.connection.transport.pause_reading()

            async def write() -> None:
                for _ in range(20):
                    await to_thread(store, tenant, [{"message": long}] * 100)

            writing = asyncio.create_task(write())
            await quick.entries(2_000)
            await writing
            positions = positions_in(quick)
            assert len(positions) == len(set(positions)) == 2_000
            assert positions == sorted(positions)
            slow.connection.transport.resume_reading()
            assert await slow.end() == 4408
            given = positions_in(slow)
            assert given == positions[: len(given)]
            first_missed = positions[len(given)]
            gap = slow.received[-1]
            assert (gap["type"], gap["first_position"], gap["after"]) == ("gap", first_missed, first_missed - 1)

    run(scenario)
