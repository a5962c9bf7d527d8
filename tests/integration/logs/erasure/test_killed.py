"""`kill -9` of the process that erases, at each of its commits: what was begun is finished, and what was not has not happened."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from accounts.models import Role, Tenant
from logs import tasks
from logs.models import Erasure, ErasureState
from tests.api import Api
from tests.erasing import CLEAR, ERASED, acts, after_of, erase, keys_alive, post
from tests.storing import new_tenant, new_token
from tests.superuser import superuser
from tests.web import CHECKOUT, product_environment, wait_until

pytestmark = pytest.mark.slow
# Whoever holds this lock lets the process go no further than where the trigger stands.
GATE = 7_265_999
ERASE = """
import sys, uuid, django
django.setup()
from accounts.models import Ability
from accounts.principals import Principal
from logs.erasure import NewErasure, erase
tenant, slug = uuid.UUID(sys.argv[1]), sys.argv[2]
nowhere = {"ip_address": None, "user_agent": None, "request_id": None}
erase(Principal(tenant, slug, "user:root", frozenset(), frozenset(Ability.values)), NewErasure("carol", "killed in the middle", nowhere))
"""


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


@pytest.fixture(autouse=True)
def ledger(settings: Any, tmp_path: Path) -> Path:
    settings.AUDITLOG_ERASURES_URL = tmp_path.joinpath("erasures").as_uri()
    return tmp_path / "erasures"


@contextmanager
def stopped_before(state: ErasureState, tenant: Tenant) -> Iterator[None]:
    """No erasure of the tenant comes to be `state`: whoever writes it waits, with everything before it done."""
    with superuser() as database:
        database.execute(
            f"""CREATE FUNCTION public.stop_erasure() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock({GATE}); RETURN NEW; END $$;
            CREATE TRIGGER stop BEFORE INSERT OR UPDATE ON logs_erasure FOR EACH ROW
            WHEN (NEW.state = '{state}' AND NEW.tenant_id = '{tenant.id}') EXECUTE FUNCTION public.stop_erasure()""".encode()
        )
        database.execute("SELECT pg_advisory_lock(%s)", [GATE])
        try:
            yield
        finally:
            database.execute("SELECT pg_advisory_unlock(%s)", [GATE])
            database.execute("DROP TRIGGER stop ON logs_erasure")
            database.execute("DROP FUNCTION public.stop_erasure()")


def waits_at_gate() -> bool:
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted", [GATE])
        return bool(cursor.fetchone()[0])


def killed_before(state: ErasureState, tenant: Tenant, settings: Any) -> None:
    environment = product_environment(AUDITLOG_ERASURES_URL=settings.AUDITLOG_ERASURES_URL, DJANGO_SETTINGS_MODULE="tests.settings")
    with stopped_before(state, tenant):
        process = subprocess.Popen(
            [sys.executable, "-c", ERASE, str(tenant.id), tenant.slug], cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        wait_until(waits_at_gate, f"the erasure comes to {state}")
        process.kill()
        assert process.wait(30) == -signal.SIGKILL
        # Its connection has nobody behind it; PostgreSQL notices when it writes to it.
        with superuser() as database:
            database.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted", [GATE])
        wait_until(lambda: not waits_at_gate(), "the killed process is gone")


def tend() -> None:
    Erasure.objects.update(updated_at="2026-01-01T00:00:00Z")
    tasks.tend_erasures()


def phases(admin: Api) -> list[str]:
    return [str(act["metadata"]["phase"]) for act in acts(admin)]


def test_killed_before_it_is_decided_nothing_is_erased(tenant: Tenant, admin: Api, ledger: Path, settings: Any) -> None:
    id = post(admin)
    killed_before(ErasureState.BEGUN, tenant, settings)
    tend()
    assert not Erasure.objects.filter(tenant=tenant).exists()
    assert (keys_alive(tenant), after_of(admin, id), list(ledger.rglob("*.json"))) == (1, CLEAR, [])
    # The log tells of the attempt, for that is committed first.
    assert phases(admin) == ["begun"]
    erase(admin)
    assert (after_of(admin, id), phases(admin)) == (ERASED, ["begun", "begun", "done"])


def test_killed_before_the_keys_destruction_is_committed_it_is_carried_on(tenant: Tenant, admin: Api, ledger: Path, settings: Any) -> None:
    id = post(admin)
    killed_before(ErasureState.DESTROYED, tenant, settings)
    assert Erasure.objects.get(tenant=tenant).state == ErasureState.BEGUN
    assert (keys_alive(tenant), after_of(admin, id), len(list(ledger.rglob("*.json")))) == (1, CLEAR, 1)
    tend()
    assert Erasure.objects.get(tenant=tenant).state == ErasureState.DONE
    assert (keys_alive(tenant), after_of(admin, id), len(list(ledger.rglob("*.json")))) == (0, ERASED, 1)
    assert phases(admin) == ["begun", "done"]


def test_killed_before_its_end_it_is_ended_and_may_be_told_twice(tenant: Tenant, admin: Api, settings: Any) -> None:
    id = post(admin)
    killed_before(ErasureState.DONE, tenant, settings)
    assert Erasure.objects.get(tenant=tenant).state == ErasureState.DESTROYED
    assert (keys_alive(tenant), after_of(admin, id)) == (0, ERASED)
    tend()
    assert Erasure.objects.get(tenant=tenant).state == ErasureState.DONE
    assert phases(admin) == ["begun", "done", "done"]
