"""Proofs over HTTP, checked as a stranger with the public key would: with the offline verifier, and the RFC's definitions."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from accounts.models import Role, Tenant
from auditlog_verify.merkle import check_consistency, check_inclusion, leaf_hash
from auditlog_verify.notes import Checkpoint, VerifierKey, open_checkpoint
from auditlog_verify.proofs import InclusionProof
from tests import merkle_reference
from tests.api import LOGS, Api, assert_refused, service_of
from tests.sequencing import publish_all, sequence_all
from tests.storing import new_tenant, new_token, store

INTEGRITY = "/api/v1/integrity"
COUNT = 600


class Log:
    """A tenant whose log has `COUNT` entries in several batches and two kept sizes, and its API."""

    def __init__(self) -> None:
        self.tenant: Tenant = new_tenant()
        self.api: Api = service_of(self.tenant)
        self.ids = store(self.tenant, [{"user_id": "alice" if number % 2 else "bob"} for number in range(255)])
        sequence_all()
        self.ids += store(self.tenant, [{}])
        self.ids += store(self.tenant, [{"metadata": {"n": number}} for number in range(COUNT - 256)])
        sequence_all()
        publish_all()

    def proof(self, id: str, **query: Any) -> dict[str, Any]:
        answer = self.api.get(f"{LOGS}/{id}/proof", **query)
        assert answer.status_code == 200, answer.content
        found: dict[str, Any] = answer.json()
        return found

    @property
    def keys(self) -> list[VerifierKey]:
        return [VerifierKey.decode(text) for key in self.api.get(f"{INTEGRITY}/key").json()["keys"] for text in key["verifier_keys"]]

    def checkpoint(self) -> Checkpoint:
        answer = self.api.get(f"{INTEGRITY}/checkpoint")
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        return open_checkpoint(answer.content.decode(), self.keys).checkpoint


@pytest.fixture(scope="module")
def log(django_db_setup: None) -> Log:
    return Log()


def unpack(texts: list[str]) -> list[bytes]:
    return [base64.b64decode(text) for text in texts]


def entries_of_bundle(content: bytes) -> list[bytes]:
    assert len(content) % 34 == 0
    pieces = [content[start : start + 34] for start in range(0, len(content), 34)]
    assert all(piece[:2] == b"\x00\x20" for piece in pieces)
    return [piece[2:] for piece in pieces]


def test_checkpoint_is_over_the_records_that_the_bundles_give(log: Log) -> None:
    records: list[bytes] = []
    for path in ("000", "001", "002.p/88"):
        answer = log.api.get(f"{INTEGRITY}/tile/entries/{path}")
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "private, max-age=31536000, immutable"
        records += entries_of_bundle(answer.content)
    checkpoint = log.checkpoint()
    assert checkpoint.tree_size == COUNT == len(records)
    assert checkpoint.root_hash == merkle_reference.mth(records)
    level_0 = b"".join(log.api.get(f"{INTEGRITY}/tile/0/{path}").content for path in ("000", "001", "002.p/88"))
    assert level_0 == b"".join(leaf_hash(record) for record in records)
    level_1 = log.api.get(f"{INTEGRITY}/tile/1/000.p/2").content
    assert level_1 == merkle_reference.mth(records[:256]) + merkle_reference.mth(records[256:512])


@pytest.mark.parametrize("index", [0, 1, 254, 255, 256, 511, 512, COUNT - 1])
def test_every_entry_is_proven_by_its_canonical_bytes(log: Log, index: int) -> None:
    id = log.ids[index]
    proof = log.proof(id)
    checkpoint = open_checkpoint(proof["checkpoint"], log.keys).checkpoint
    record = hashlib.sha256(proof["canonical"].encode()).digest()
    assert json.loads(proof["canonical"])["id"] == id
    assert base64.b64decode(proof["leaf_hash"]) == leaf_hash(record)
    assert (proof["leaf_index"], proof["tree_size"], checkpoint.tree_size) == (index, COUNT, COUNT)
    path = unpack(proof["inclusion_path"])
    check_inclusion(leaf_hash=leaf_hash(record), leaf_index=index, tree_size=COUNT, inclusion_path=path, root_hash=checkpoint.root_hash)
    text = log.api.get(f"{LOGS}/{id}/proof", format="tlog-proof").content.decode()
    assert InclusionProof.decode(text).check(record, log.keys).checkpoint == checkpoint
    assert log.api.get(f"{LOGS}/{id}").json()["integrity"] == {"position": index, "leaf_hash": proof["leaf_hash"]}


def test_proof_against_a_kept_checkpoint(log: Log) -> None:
    proof = log.proof(log.ids[7], tree_size=255)
    assert proof["tree_size"] == 255
    assert log.api.get(f"{INTEGRITY}/checkpoints/255").content.decode() == proof["checkpoint"]
    path, root = unpack(proof["inclusion_path"]), base64.b64decode(proof["root_hash"])
    check_inclusion(leaf_hash=base64.b64decode(proof["leaf_hash"]), leaf_index=7, tree_size=255, inclusion_path=path, root_hash=root)


@pytest.mark.parametrize(("index", "size"), [(7, 254), (300, 255), (7, 10**18)])
def test_proof_against_a_size_that_is_not_kept_is_refused(log: Log, index: int, size: int) -> None:
    assert_refused(log.api.get(f"{LOGS}/{log.ids[index]}/proof", tree_size=size), 422, "invalid_query", fault="unknown_size", pointer="tree_size")


@pytest.mark.parametrize("size", [0, 1, 200, 255, 256, 257, 599, COUNT])
def test_every_earlier_tree_is_the_beginning_of_the_newest(log: Log, size: int) -> None:
    found = log.api.get(f"{INTEGRITY}/consistency", **{"from": size}).json()
    assert found["second_size"] == COUNT
    check_consistency(
        first_size=size,
        first_root=base64.b64decode(found["first_root_hash"]),
        second_size=COUNT,
        second_root=log.checkpoint().root_hash,
        consistency_path=unpack(found["consistency_path"]),
    )


@pytest.mark.parametrize(
    ("query", "fault", "pointer"),
    [
        ({"from": 601}, "unknown_size", "from"),
        ({"from": 1, "to": 601}, "unknown_size", "to"),
        ({"from": 5, "to": 4}, "bad_range", "to"),
        ({}, "missing_parameter", "from"),
        ({"from": "x"}, "bad_number", "from"),
        ({"from": "1", "size": "2"}, "unknown_parameter", "size"),
    ],
)
def test_consistency_of_what_there_is_not_is_refused(log: Log, query: dict[str, Any], fault: str, pointer: str) -> None:
    assert_refused(log.api.get(f"{INTEGRITY}/consistency", **query), 422, "invalid_query", fault=fault, pointer=pointer)


@pytest.mark.parametrize(
    "path",
    [
        "0/002",
        "0/002.p/89",
        "0/003.p/1",
        "1/000",
        "1/000.p/3",
        "2/000.p/1",
        "8/000.p/1",
        "63/000.p/1",
        "64/000",
        "entries/003.p/1",
        "entries/002",
        "0/0",
        "0/x/",
        "a/000",
        "0/000.p/256",
    ],
)
def test_tile_that_is_not_there_is_404(log: Log, path: str) -> None:
    assert_refused(log.api.get(f"{INTEGRITY}/tile/{path}"), 404, "not_found")


def test_history_of_checkpoints_is_paged_newest_first(log: Log) -> None:
    first = log.api.get(f"{INTEGRITY}/checkpoints", limit=1).json()
    assert [found["tree_size"] for found in first["results"]] == [255]
    assert first["results"][0]["anchored_at"]
    whole = log.api.get(f"{INTEGRITY}/checkpoints").json()
    assert whole["next"] is None
    assert log.api.get(f"{INTEGRITY}/checkpoints", before=1).json()["results"] == []


def test_entry_without_position_is_409_for_now() -> None:
    tenant = new_tenant()
    api = service_of(tenant)
    (id,) = store(tenant, [{}])
    answer = api.get(f"{LOGS}/{id}/proof")
    assert_refused(answer, 409, "not_sequenced")
    assert answer["Retry-After"] == "1"
    assert "integrity" not in api.get(f"{LOGS}/{id}").json()
    assert_refused(api.get(f"{INTEGRITY}/checkpoint"), 404, "not_found")
    assert_refused(api.get(f"{INTEGRITY}/consistency", **{"from": 0}), 404, "not_found")
    assert api.get(f"{INTEGRITY}/key").json()["origin"].endswith(str(tenant.id))


def test_role_user_gets_proofs_of_own_entries_alone(log: Log) -> None:
    alice = Api(new_token(log.tenant, Role.USER, "alice"))
    assert alice.get(f"{LOGS}/{log.ids[1]}/proof").status_code == 200
    assert_refused(alice.get(f"{LOGS}/{log.ids[0]}/proof"), 404, "not_found")
    # Not even by another question about it does one learn that it is there.
    assert_refused(alice.get(f"{LOGS}/{log.ids[0]}/proof", tree_size=1), 404, "not_found")


def test_proof_of_nothing_is_404(log: Log) -> None:
    assert_refused(log.api.get(f"{LOGS}/019a2b3c-4d5e-7000-8000-00000000002a/proof"), 404, "not_found")
    assert_refused(log.api.get(f"{LOGS}/x/proof"), 404, "not_found")
    assert_refused(log.api.get(f"{LOGS}/{log.ids[0]}/proof", format="pdf"), 422, "invalid_query", fault="unknown_value", pointer="format")
