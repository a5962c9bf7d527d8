"""Every look at the log is an entry in it."""

from __future__ import annotations

from tests.api import LOGS, Api
from tests.storing import new_key, new_tenant, store


def test_search_leaves_an_entry() -> None:
    tenant = new_tenant()
    api = Api(new_key(tenant))
    store(tenant, [{}])
    assert api.get(LOGS, user_id="alice").status_code == 200
    found = api.get(LOGS, q="source:auditlog").json()["results"]
    print(found)
    assert len(found) == 1
