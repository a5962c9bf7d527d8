"""Signed notes, checkpoints and proofs as text, with vectors from the packages that the formats come from.

Vectors: golang.org/x/mod/sumdb/note (package documentation: PeterNeumann's note and keys) and the verifier key of sum.golang.org.
"""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlog_verify.merkle import Edge, ProofError, leaf_hash
from auditlog_verify.notes import (
    COSIGNATURE,
    ED25519,
    Checkpoint,
    Note,
    NoteError,
    VerifierKey,
    cosign,
    is_key_name,
    keys_of,
    open_checkpoint,
    sign_checkpoint,
    signature_lines,
)
from auditlog_verify.proofs import InclusionProof

GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
SUMDB_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
ORIGIN = "auditlog.example/t1"
RECORDS = [sha256(b"%d" % number).digest() for number in range(3)]
CHECKPOINT = Checkpoint(ORIGIN, 3, Edge().append([leaf_hash(record) for record in RECORDS])[0].root)
NOTE = sign_checkpoint(CHECKPOINT, [KEY], time_seconds=1_700_000_000)


def trusted(*keys: Ed25519PrivateKey, origin: str = ORIGIN) -> list[VerifierKey]:
    return keys_of(origin, [key.public_key().public_bytes_raw() for key in keys])


def test_note_of_gos_documentation_verifies() -> None:
    note = Note.decode(GO_NOTE)
    assert note.encoded == GO_NOTE
    (signed,) = note.signed_by([VerifierKey.decode(GO_KEY)])
    assert signed.key.name == "PeterNeumann"
    assert signed.time_seconds is None


@pytest.mark.parametrize("encoded", [GO_KEY, SUMDB_KEY])
def test_published_verifier_keys_are_read_and_written(encoded: str) -> None:
    assert VerifierKey.decode(encoded).encoded == encoded


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "a b+033de0ae+Ac4z",
        SUMDB_KEY.replace("033d", "033e"),
        SUMDB_KEY.replace("Ac4z", "!!!!"),
        SUMDB_KEY[:-4],
        SUMDB_KEY.replace("+Ac4z", "+Bc4z"),
    ],
)
def test_broken_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.decode(text)


def test_own_checkpoint_carries_a_plain_and_a_timestamped_signature() -> None:
    opened = open_checkpoint(NOTE, trusted(KEY), origin=ORIGIN)
    assert opened.checkpoint == CHECKPOINT
    assert [(signed.key.kind, signed.time_seconds) for signed in opened.signed] == [(ED25519, None), (COSIGNATURE, 1_700_000_000)]


def test_two_keys_sign_while_one_replaces_the_other() -> None:
    both = sign_checkpoint(CHECKPOINT, [KEY, OTHER], time_seconds=1)
    assert len(open_checkpoint(both, trusted(OTHER)).signed) == 2
    assert len(open_checkpoint(both, trusted(KEY, OTHER)).signed) == 4


def test_key_that_is_not_trusted_is_refused() -> None:
    with pytest.raises(NoteError, match="no trusted key"):
        open_checkpoint(NOTE, trusted(OTHER))


def test_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(NoteError, match="of the log"):
        open_checkpoint(NOTE, trusted(KEY), origin="auditlog.example/t2")


def test_changed_text_is_refused() -> None:
    with pytest.raises(NoteError, match="is wrong"):
        open_checkpoint(NOTE.replace("\n3\n", "\n4\n"), trusted(KEY))


def test_changed_time_is_refused() -> None:
    line = cosign(KEY, ORIGIN, CHECKPOINT.text, time_seconds=5)
    later = (6).to_bytes(8, "big") + line.signature[8:]
    note = Note(CHECKPOINT.text, (type(line)(line.name, line.key_id, later),))
    with pytest.raises(NoteError, match="is wrong"):
        open_checkpoint(note.encoded, trusted(KEY))


def test_lines_of_witnesses_can_be_added() -> None:
    line = cosign(OTHER, "witness.example/w", CHECKPOINT.text, time_seconds=7)
    key = VerifierKey("witness.example/w", OTHER.public_key().public_bytes_raw(), COSIGNATURE)
    assert signature_lines(line.encoded) == [line]
    opened = open_checkpoint(NOTE + line.encoded, [*trusted(KEY), key])
    assert opened.signed[-1].time_seconds == 7


@pytest.mark.parametrize(
    "text",
    ["", "a\n", "a\n\n", "a\n\nb\n", "a\n\n— x\n", "a\n\n— x !!\n", "a\n\n— x AAAA\n", "a\n\n— x AAAAAAAAAA==", "a\x00\n\n— x AAAAAAAAAA==\n", "a" * 100_001],
)
def test_malformed_note_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Note.decode(text)


ROOT_TEXT = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text", ["", "o\n1\n", f"o\n01\n{ROOT_TEXT}\n", f"o\n-1\n{ROOT_TEXT}\n", f"o\n{2**63}\n{ROOT_TEXT}\n", "o\n1\nAAAA\n", "o\n1\n!\n", f"\n1\n{ROOT_TEXT}\n"]
)
def test_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.of_text(text)


def test_extension_lines_are_kept() -> None:
    text = f"o\n1\n{ROOT_TEXT}\nmore\n"
    assert Checkpoint.of_text(text).extensions == ("more",)
    assert Checkpoint.of_text(text).text == text


@pytest.mark.parametrize(("name", "is_one"), [("a.example/b", True), ("", False), ("a b", False), ("a+b", False), ("a\u00a0b", False), ("a\x7f", False)])
def test_names_of_keys(name: str, is_one: bool) -> None:
    assert is_key_name(name) is is_one


@given(st.text(max_size=200))
@settings(max_examples=300)
def test_any_text_gives_a_verdict(text: str) -> None:
    for read in (Note.decode, Checkpoint.of_text, VerifierKey.decode, InclusionProof.decode):
        try:
            read(text)
        except (NoteError, ProofError):
            pass


PROOF = InclusionProof(2, (Edge().append([leaf_hash(record) for record in RECORDS[:2]])[0].root,), NOTE)


def test_proof_as_text_is_read_back_and_checked() -> None:
    assert InclusionProof.decode(PROOF.encoded) == PROOF
    assert PROOF.encoded.startswith("c2sp.org/tlog-proof@v1\nindex 2\n")
    assert InclusionProof.decode(PROOF.encoded).check(RECORDS[2], trusted(KEY)).checkpoint == CHECKPOINT


def test_extra_line_of_a_proof_is_passed_over() -> None:
    assert InclusionProof.decode(PROOF.encoded.replace("@v1\n", "@v1\nextra AAAA\n")) == PROOF


def test_proof_of_another_record_is_refused() -> None:
    with pytest.raises(ProofError, match="does not lead"):
        PROOF.check(RECORDS[1], trusted(KEY))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tlog-proof@v1", "tlog-proof@v9"),
        ("index 2", "index 02"),
        ("index 2\n", ""),
        ("index 2\n", "index 2\nAAAA\n"),
        ("index 2\n", "index 2\n" + (ROOT_TEXT + "\n") * 64),
        ("\n\n", "\n"),
    ],
)
def test_malformed_proof_is_refused(old: str, new: str) -> None:
    with pytest.raises(ProofError):
        InclusionProof.decode(PROOF.encoded.replace(old, new))
