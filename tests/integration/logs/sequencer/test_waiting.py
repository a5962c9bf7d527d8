"""`Prefer: wait`: the answer comes with position, proof and checkpoint, or without them when its time is over."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

import httpx
import pytest

from accounts.models import Tenant
from auditlog_verify.merkle import check_inclusion, leaf_hash
from auditlog_verify.notes import open_checkpoint
from tests.api import BULK, LOGS, entry, service_of
from tests.sequencing import SequencerProcess, trusted_keys
from tests.storing import new_key, new_tenant
from tests.web import Web, product_environment


@pytest.fixture(scope="module")
def sequencer() -> Iterator[None]:
    with SequencerProcess(product_environment()):
        yield


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


def test_answer_comes_with_a_proof_that_verifies(tenant: Tenant, sequencer: None) -> None:
    api = service_of(tenant)
    answer = api.post(LOGS, entry(), Prefer="wait=30")
    assert (answer.status_code, answer["Preference-Applied"]) == (201, "wait=30")
    body = answer.json()
    proof = body["proof"]
    head = open_checkpoint(proof["checkpoint"], trusted_keys(tenant)).checkpoint
    record = hashlib.sha256(proof["canonical"].encode()).digest()
    assert base64.b64decode(body["record_digest"]) == record
    path = [base64.b64decode(step) for step in proof["inclusion_path"]]
    check_inclusion(leaf_hash=leaf_hash(record), leaf_index=proof["leaf_index"], tree_size=head.tree_size, inclusion_path=path, root_hash=head.root_hash)


def test_bulk_answer_comes_with_positions_under_one_checkpoint(tenant: Tenant, sequencer: None) -> None:
    body = service_of(tenant).post(BULK, [entry()] * 5, Prefer="respond-async, wait=30").json()
    assert sorted(found["position"] for found in body["successful"]) == [0, 1, 2, 3, 4]
    assert open_checkpoint(body["checkpoint"], trusted_keys(tenant)).checkpoint.tree_size >= 5


def test_replayed_entry_has_its_position_at_once(tenant: Tenant, sequencer: None) -> None:
    api = service_of(tenant)
    keyed = entry(idempotency_key="k", timestamp="2026-01-31T12:00:00Z")
    first = api.post(LOGS, keyed, Prefer="wait=30").json()
    again = api.post(LOGS, keyed, Prefer="wait=30")
    assert (again.status_code, again.json()["proof"]["leaf_index"]) == (200, first["proof"]["leaf_index"])
    assert again.json()["record_digest"] == first["record_digest"]
    assert again.json()["received_at"] == first["received_at"]


def test_served_by_the_web_processes_it_is_the_same(tenant: Tenant, sequencer: None) -> None:
    web = Web(product_environment())
    try:
        web.start()
        headers = {"Authorization": f"Bearer {new_key(tenant)}", "Prefer": "wait=30"}
        with httpx.Client(base_url=web.url, headers=headers, timeout=60) as client:
            assert client.post(LOGS, json=entry()).json()["proof"]["leaf_index"] == 0
            assert [found["position"] for found in client.post(BULK, json=[entry()] * 2).json()["successful"]] == [1, 2]
            bundle = client.get(f"{LOGS}/export", params={"format": "evidence"})
            assert bundle.text.splitlines()[-1] == '{"kind":"end","entries":3,"waiting":0,"has_more":false}'
    finally:
        web.stop()


def test_without_a_sequencer_the_answer_comes_when_the_time_is_over(tenant: Tenant) -> None:
    """Another installation's worth of tests may sequence here at any moment, so only the answer's form is judged."""
    answer = service_of(tenant).post(LOGS, entry(), Prefer="wait=1")
    assert answer.status_code == 201
    assert ("proof" in answer.json()) == ("Preference-Applied" in answer)


@pytest.mark.parametrize("preference", ["wait=x", "wait=-1", "handling=lenient", "", "await=5"])
def test_preference_that_is_none_is_passed_over(tenant: Tenant, preference: str) -> None:
    """RFC 7240 §2: what is not understood is ignored."""
    answer = service_of(tenant).post(LOGS, entry(), Prefer=preference)
    assert answer.status_code == 201
    assert "Preference-Applied" not in answer
