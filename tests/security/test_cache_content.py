"""What lies in Redis: nothing that runs code when it is read, and no credential or name of a person in the limits' keys."""

from __future__ import annotations

import pickle
import uuid
from typing import Any

import pytest
from django.core.cache import cache
from django_redis import get_redis_connection

from accounts.models import Role, User
from tests.api import LOGS, Api, service_of
from tests.storing import new_tenant, new_token, store

# Opcode PROTO: the first byte of every pickle since protocol 2.
PICKLE = b"\x80"


def contents() -> dict[bytes, bytes]:
    connection = get_redis_connection("default")
    found = {}
    for key in connection.keys("auditlog:*"):
        kind = connection.type(key)
        if kind == b"string":
            found[key] = connection.get(key)
        elif kind == b"hash":
            found[key] = b"".join(field + value for field, value in connection.hgetall(key).items())
    return found


@pytest.fixture(scope="module")
def used() -> dict[str, str]:
    """Everything that keeps something in Redis has been used."""
    tenant = new_tenant()
    store(tenant, [{}])
    service, token, name = service_of(tenant), new_token(tenant, Role.ADMIN), f"audrey-{uuid.uuid4().hex[:8]}"
    User.objects.create_user(name, password="correct horse battery staple")
    member = Api(token)
    saved = member.post("/api/v1/saved-searches", {"name": "mine", "query": {}}).json()
    for api in (service, member):
        for path in (LOGS, "/api/v1/logs/stats", "/api/v1/logs/facets", f"/api/v1/saved-searches/{saved['id']}", "/readyz"):
            api.get(path)
            api.get(path)
    Api(None).post("/api/v1/auth/token", {"username": name, "password": "wrong"})
    return {"name": name, "tenant": str(tenant.id), "slug": tenant.slug}


def test_redis_holds_no_pickle(used: dict[str, str]) -> None:
    found = contents()
    assert any(b"stats:" in key for key in found)
    assert any(key.startswith(b"auditlog:limits:search:") for key in found)
    assert any(b"sign_in:" in key for key in found)
    assert [key for key, value in found.items() if value.startswith(PICKLE)] == []


def test_a_pickle_that_somebody_put_there_is_not_run(used: dict[str, str]) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("the pickle was run",))

    get_redis_connection("default").set("auditlog:1:trap", pickle.dumps(Trap()))
    with pytest.raises(ValueError, match=r"."):
        cache.get("trap")


def test_the_limits_tell_nobody_whose_they_are(used: dict[str, str]) -> None:
    keys = b"\n".join(key for key in contents() if key.startswith(b"auditlog:limits:"))
    for secret in used.values():
        assert secret.encode() not in keys
