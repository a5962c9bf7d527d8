"""The confirmation of a dry run: who asked, what, and what was counted, signed by this server. It is good for ten minutes."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from django.core import signing
from django.http import QueryDict

from accounts.principals import Principal
from accounts.problems import Fault
from archival.cleanups.asking import OTHERS, CleanupQuestion
from logs.errors import InvalidQuery

GOOD_FOR = datetime.timedelta(minutes=10)
_SALT = "archival.cleanups"


def confirmation_of(question: CleanupQuestion, query: QueryDict, principal: Principal, entries: int) -> str:
    """What the real run has to send."""
    return signing.dumps(_identity(query, principal) | {"question": as_json(question), "entries": entries}, salt=_SALT, compress=True)


def confirmed(token: str, query: QueryDict, principal: Principal) -> tuple[CleanupQuestion, int]:
    """The question of the dry run, and what it counted. Raises InvalidQuery for another one's, another question's or an old one."""
    try:
        found: dict[str, Any] = signing.loads(token, salt=_SALT, max_age=GOOD_FOR)
    except signing.SignatureExpired:
        raise InvalidQuery([Fault("confirmation", "confirmation_expired", "The confirmation is older than ten minutes. Do the dry run again.")]) from None
    except signing.BadSignature:
        raise InvalidQuery([Fault("confirmation", "wrong_confirmation", "The confirmation is damaged. Take it from the dry run as it is.")]) from None
    question, entries = found.pop("question"), found.pop("entries")
    if found != _identity(query, principal):
        detail = "The confirmation is of another question, or another person's. Do the dry run of this one."
        raise InvalidQuery([Fault("confirmation", "wrong_confirmation", detail)])
    return from_json(question), entries


def as_json(question: CleanupQuestion) -> dict[str, Any]:
    return {"query": question.query, "before": question.before.isoformat(), "policy": question.policy, "now": question.now.isoformat()}


def from_json(found: Mapping[str, Any]) -> CleanupQuestion:
    moments = (datetime.datetime.fromisoformat(found[name]) for name in ("before", "now"))
    before, now = moments
    return CleanupQuestion(found["query"], before, found["policy"], now)


def _identity(query: QueryDict, principal: Principal) -> dict[str, Any]:
    """Who asks, and every parameter that says what is to go, as it was given."""
    asked = sorted((name, query.getlist(name)) for name in query if name not in OTHERS or name in ("before", "policy"))
    return {"tenant": str(principal.tenant_id), "source": principal.source, "user": principal.user_pk, "asked": [[name, values] for name, values in asked]}
