"""The sequencer's lag, for who watches: on `/readyz`, and on `/metrics` for who has its token."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api import Api
from tests.sequencing import sequence_all
from tests.storing import new_tenant, store

TOKEN = "a token of the scraper's own"


def figures(text: str) -> dict[str, float]:
    return {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if not line.startswith("#")}


def waiting() -> int:
    return int(Api(None).get("/readyz").json()["sequencer"]["waiting_batches"])


def test_lag_is_told_in_batches_and_seconds(settings: Any) -> None:
    settings.AUDITLOG_METRICS_TOKEN = TOKEN
    sequence_all()
    # Tenants that other tests have had set aside go on waiting: theirs are counted too.
    before = waiting()
    for _ in range(3):
        store(new_tenant(), [{}])
    answer = Api(TOKEN).get("/metrics")
    assert answer["Content-Type"].startswith("text/plain")
    found = figures(answer.content.decode())
    assert found["auditlog_sequencer_waiting_batches"] == before + 3
    assert found["auditlog_sequencer_lag_seconds"] > 0
    assert waiting() == before + 3
    sequence_all()
    assert waiting() == before


@pytest.mark.parametrize("credential", [None, "another", ""])
def test_metrics_are_for_who_has_the_token(settings: Any, credential: str | None) -> None:
    settings.AUDITLOG_METRICS_TOKEN = TOKEN
    answer = Api(credential).get("/metrics")
    assert answer.status_code == 401
    assert b"sequencer" not in answer.content


def test_without_a_token_set_there_are_no_metrics(settings: Any) -> None:
    settings.AUDITLOG_METRICS_TOKEN = ""
    assert Api("").get("/metrics").status_code == 404
