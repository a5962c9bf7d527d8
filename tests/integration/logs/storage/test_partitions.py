"""Partitions: which one a moment gets, that they neither overlap nor leave a hole, and what happens when one is gone.

Each test has days or months of its own, for the database is shared by all tests of a worker.
"""

from __future__ import annotations

import datetime
import itertools
import random
import threading

import pytest
from django.db import DataError, ProgrammingError, connection, connections
from pytest_django import Settings

from accounts.models import Tenant
from logs.storage import partitions
from logs.storage.connecting import connect
from logs.storage.engines import NativeEngine, Partition, engine
from logs.storage.reading import tenant_transaction
from tests.storing import new_tenant, store

DAY = datetime.timedelta(days=1)
UTC = datetime.UTC
TODAY = datetime.datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def at(year: int, month: int, day: int, hour: int = 0) -> datetime.datetime:
    return datetime.datetime(year, month, day, hour, tzinfo=UTC)


def ensure(moment: datetime.datetime) -> Partition:
    """Ask for the partition of `moment`, and answer the one that it now has."""
    with connection.cursor() as cursor:
        engine().ensure_partition(cursor, moment)
    [found] = [partition for partition in all_partitions() if partition.lower_at <= moment < partition.upper_at]
    return found


def all_partitions() -> list[Partition]:
    with connection.cursor() as cursor:
        return engine().partitions(cursor)


def bounds(partition: Partition) -> tuple[datetime.datetime, datetime.datetime]:
    return partition.lower_at, partition.upper_at


def drop(moment: datetime.datetime) -> None:
    [found] = [partition for partition in all_partitions() if partition.lower_at <= moment < partition.upper_at]
    with connections["maintenance"].cursor() as cursor:
        engine().drop_partition(cursor, found)


def count(tenant: Tenant) -> int:
    with tenant_transaction(tenant.id) as cursor:
        cursor.execute("SELECT count(*) FROM auditlog.logs_entry_view")
        return int(cursor.fetchone()[0])


def test_a_day_within_the_hot_days_has_a_partition_of_its_own(settings: Settings) -> None:
    moment = TODAY - 40 * DAY + datetime.timedelta(hours=13, minutes=45)
    found = ensure(moment)
    assert bounds(found) == (TODAY - 40 * DAY, TODAY - 39 * DAY)
    assert found.name == f"logs_entry_{found.lower_at:%Y%m%d}_{found.upper_at:%Y%m%d}"
    edge = TODAY - settings.AUDITLOG_HOT_DAYS * DAY
    if any(one.upper_at - one.lower_at > DAY for one in all_partitions() if one.lower_at <= edge < one.upper_at):
        # Entries from before the hot days, of other tests in this database, have made the edge's month.
        drop(edge)
    assert bounds(ensure(edge)) == (edge, edge + DAY)


@pytest.mark.parametrize("moment", [at(2011, 2, 14, 7), at(2011, 12, 31, 23), at(2012, 2, 29)])
def test_before_the_hot_days_a_month_shares_one(moment: datetime.datetime) -> None:
    found = ensure(moment)
    first = moment.replace(day=1, hour=0)
    assert bounds(found) == (first, (first + 32 * DAY).replace(day=1))
    assert ensure(moment) == found


def test_the_last_moment_of_a_partition_is_in_it_and_the_next_is_not() -> None:
    found = ensure(at(2011, 6, 15))
    assert ensure(found.upper_at - datetime.timedelta(microseconds=1)) == found
    assert ensure(found.upper_at).lower_at == found.upper_at


def test_a_month_fills_the_gaps_that_day_partitions_leave(settings: Settings) -> None:
    settings.AUDITLOG_HOT_DAYS = 10_000
    for day in (10, 20, 21):
        assert bounds(ensure(at(2012, 5, day))) == (at(2012, 5, day), at(2012, 5, day + 1))
    settings.AUDITLOG_HOT_DAYS = 90
    assert bounds(ensure(at(2012, 5, 15))) == (at(2012, 5, 11), at(2012, 5, 20))
    assert bounds(ensure(at(2012, 5, 1))) == (at(2012, 5, 1), at(2012, 5, 10))
    assert bounds(ensure(at(2012, 5, 31))) == (at(2012, 5, 22), at(2012, 6, 1))
    tenant = new_tenant()
    store(tenant, [{"timestamp": at(2012, 5, day, 12).isoformat()} for day in range(1, 32)])
    assert count(tenant) == 31


def test_whatever_is_asked_for_in_whatever_order_every_moment_has_one_partition(settings: Settings) -> None:
    chance = random.Random(3)
    asked = []
    for _ in range(30):
        settings.AUDITLOG_HOT_DAYS = chance.choice([90, 20_000])
        asked.append(at(2013, 1, 1) + datetime.timedelta(seconds=chance.randrange(0, 365 * 86_400)))
        ensure(asked[-1])
    found = all_partitions()
    assert all(one.upper_at <= other.lower_at for one, other in itertools.pairwise(found))
    assert all(partition.lower_at < partition.upper_at for partition in found)
    assert all(sum(partition.lower_at <= moment < partition.upper_at for partition in found) == 1 for moment in asked)


def test_many_connections_that_want_one_partition_make_one() -> None:
    moment, callers = TODAY - 50 * DAY, 8
    barrier, errors = threading.Barrier(callers), []

    def ask() -> None:
        with connect("default") as own, own.cursor() as cursor:
            barrier.wait()
            try:
                NativeEngine().ensure_partition(cursor, moment)
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert bounds(ensure(moment)) == (moment, moment + DAY)


def test_preparing_makes_the_coming_days_and_does_nothing_the_second_time(settings: Settings) -> None:
    settings.AUDITLOG_DAYS_AHEAD = 7
    now = datetime.datetime.now(UTC)
    partitions.prepare(now)
    assert all(partitions.is_covered(now + day * DAY) for day in range(-1, 8))
    before = all_partitions()
    partitions.prepare(now)
    assert all_partitions() == before


@pytest.mark.parametrize("moment", [at(1969, 12, 31, 23), TODAY + 92 * DAY, at(9999, 12, 31)])
def test_no_partition_is_made_where_no_entry_can_be(moment: datetime.datetime) -> None:
    before = all_partitions()
    with pytest.raises(DataError, match="no partition is made"):
        ensure(moment)
    assert all_partitions() == before


def test_a_dropped_partition_takes_its_entries_and_no_others() -> None:
    tenant = new_tenant()
    store(tenant, [{"timestamp": at(2008, month, 15).isoformat()} for month in (7, 7, 8)])
    drop(at(2008, 7, 15))
    assert count(tenant) == 1
    assert not partitions.is_covered(at(2008, 7, 15))
    assert partitions.is_covered(at(2008, 8, 15))


def test_the_application_can_t_drop_a_partition() -> None:
    found = ensure(at(2008, 9, 1))
    with connection.cursor() as cursor, pytest.raises(ProgrammingError, match="must be owner"):
        engine().drop_partition(cursor, found)
    assert partitions.is_covered(at(2008, 9, 1))


@pytest.mark.parametrize("key", [None, "once"])
def test_the_writer_goes_on_when_a_partition_that_it_knew_was_dropped(key: str | None) -> None:
    tenant = new_tenant()
    moment = at(2009, 3 if key else 4, 3)
    entry = {"timestamp": moment.isoformat()} | ({"idempotency_key": key} if key else {})
    store(tenant, [entry])
    drop(moment)
    assert count(tenant) == 0
    [id] = store(tenant, [entry])
    with tenant_transaction(tenant.id) as cursor:
        cursor.execute("SELECT id::text FROM auditlog.logs_entry_view")
        assert cursor.fetchall() == [(id,)]
