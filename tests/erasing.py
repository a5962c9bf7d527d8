"""Erasures as an Admin asks for them."""

from __future__ import annotations

from typing import Any

from django.db import connections

from accounts.models import Tenant
from tests.api import LOGS, Api, entry

ERASURES = "/api/v1/erasures"
REASON = "Request of 2026-01-30 under GDPR Art. 17."
ERASED = {"encrypted": True, "erased": True}
CLEAR = {"iban": "planted-iban-of-carol"}


def post(api: Api, **fields: Any) -> str:
    """The id of a posted entry: carol's, with an encrypted field, unless `fields` say otherwise."""
    answer = api.post(LOGS, entry(**{"user_id": "carol", "after": CLEAR} | fields))
    assert answer.status_code == 201, answer.content
    return str(answer.json()["id"])


def ask(api: Api, subject: str = "carol", **body: Any) -> Any:
    return api.post(ERASURES, {"subject": subject, "reason": REASON, "confirm": subject} | body)


def erase(api: Api, subject: str = "carol") -> dict[str, Any]:
    """An erasure that is done."""
    answer = ask(api, subject)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    assert api.get(answer["Location"]).json() == found
    return found


def acts(api: Api) -> list[dict[str, Any]]:
    """What the log tells of erasures, oldest first."""
    found: list[dict[str, Any]] = api.get(LOGS, action="ERASE", resource_type="audit_log_erasure").json()["results"]
    return found[::-1]


def after_of(api: Api, id: str) -> Any:
    return api.get(f"{LOGS}/{id}").json()["after"]


def keys_alive(tenant: Tenant) -> int:
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM auditlog.logs_data_key WHERE tenant_id = %s AND wrapped_key IS NOT NULL", [tenant.id])
        return int(cursor.fetchone()[0])
