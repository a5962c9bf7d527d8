"""Schedules are made once and are the admin's from then on; the task of one, run by a real worker, has its effect."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django_celery_beat.models import PeriodicTask

from auditlog_project.celery import app
from logs.schedules import SCHEDULES, create_missing
from logs.storage import partitions
from logs.storage.engines import engine
from logs.tasks import prepare_partitions
from tests.web import CHECKOUT, STOP_SECONDS, product_environment, wait_until

DAY = datetime.timedelta(days=1)


@pytest.fixture(autouse=True)
def no_schedules() -> None:
    PeriodicTask.objects.all().delete()


@pytest.fixture
def worker() -> Iterator[None]:
    """A Celery worker as `make run` starts it."""
    command = [sys.executable, "-m", "celery", "-A", "auditlog_project.celery", "worker", "--concurrency", "1", "--without-gossip", "--without-mingle"]
    process = subprocess.Popen(command, cwd=CHECKOUT, env=product_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield
    process.terminate()
    assert process.wait(STOP_SECONDS) == 0


def test_missing_schedules_are_made_once() -> None:
    assert create_missing() == [name for name, _, _ in SCHEDULES]
    assert create_missing() == []
    for _, task, minutes in SCHEDULES:
        made = PeriodicTask.objects.get(task=task)
        assert made.enabled
        assert made.interval.every == minutes
        assert made.interval.period == "minutes"


def test_what_the_admin_changed_stays() -> None:
    create_missing()
    changed = PeriodicTask.objects.get(task="logs.tasks.prepare_partitions")
    changed.enabled, changed.name = False, "Renamed"
    changed.save()
    assert create_missing() == []
    [found] = PeriodicTask.objects.filter(task="logs.tasks.prepare_partitions")
    assert (found.enabled, found.name, found.interval) == (False, "Renamed", changed.interval)


def test_every_schedule_names_a_task_that_there_is() -> None:
    app.autodiscover_tasks(force=True)
    assert {task for _, task, _ in SCHEDULES} <= set(app.tasks)


def test_preparing_a_database_makes_schedules_and_partitions() -> None:
    call_command("prepare", verbosity=0, stdout=None)
    assert PeriodicTask.objects.count() == len(SCHEDULES)
    assert partitions.is_covered(datetime.datetime.now(datetime.UTC) + DAY)


@pytest.mark.slow
def test_a_worker_prepares_the_partitions(worker: None) -> None:
    partitions.prepare(datetime.datetime.now(datetime.UTC))
    ahead = datetime.datetime.now(datetime.UTC) + 2 * DAY
    with connection.cursor() as cursor:
        [found] = [partition for partition in engine().partitions(cursor) if partition.lower_at <= ahead < partition.upper_at]
    with connections["maintenance"].cursor() as cursor:
        engine().drop_partition(cursor, found)
    assert not partitions.is_covered(ahead)
    prepare_partitions.delay()
    wait_until(lambda: partitions.is_covered(ahead), "the worker makes the partition")
