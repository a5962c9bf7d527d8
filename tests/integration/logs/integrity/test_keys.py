"""Keys come from the settings: made, shown, rotated with the old one kept, and refused with a reason."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from accounts.models import Tenant
from auditlog_verify.notes import NoteError, open_checkpoint
from logs.integrity import keys
from logs.models import VerificationResult
from logs.verification.runs import verify
from tests.sequencing import head_of, sequence_all
from tests.storing import new_tenant, store


def pem(key: Any, password: bytes | None = None) -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    text: str = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()
    return text


def public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def test_new_key_is_written_once_and_for_its_owner_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: Any) -> None:
    file = tmp_path / "key.pem"
    call_command("signing_key", "--new", str(file))
    shown = capsys.readouterr().out.strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    settings.AUDITLOG_SIGNING_KEY, settings.AUDITLOG_VERIFIER_KEYS = file.read_text(), []
    call_command("signing_key", "--public")
    assert capsys.readouterr().out.strip() == shown
    before = file.read_bytes()
    with pytest.raises(CommandError, match="never written over"):
        call_command("signing_key", "--new", str(file))
    assert file.read_bytes() == before


def test_keys_are_shown_newest_first(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    settings.AUDITLOG_SIGNING_KEY, settings.AUDITLOG_VERIFIER_KEYS = pem(new), [public(old), public(new)]
    call_command("signing_key")
    assert capsys.readouterr().out.splitlines() == [f"{public(new)}   (newest)", public(old)]


@pytest.mark.parametrize("text", ["", "nonsense", pem(generate_private_key(SECP256R1())), pem(Ed25519PrivateKey.generate(), b"password")])
def test_text_that_is_no_signing_key_is_refused(settings: Any, text: str) -> None:
    settings.AUDITLOG_SIGNING_KEY = text
    with pytest.raises(ImproperlyConfigured, match="openssl genpkey"):
        keys.private_keys()
    with pytest.raises(CommandError, match="AUDITLOG_SIGNING_KEY"):
        call_command("run_sequencer")


@pytest.mark.parametrize("text", ["nonsense!", "AAAA"])
def test_text_that_is_no_verifier_key_is_refused(settings: Any, text: str) -> None:
    settings.AUDITLOG_VERIFIER_KEYS = [text]
    with pytest.raises(CommandError, match="AUDITLOG_VERIFIER_KEYS"):
        call_command("signing_key")
    with pytest.raises(CommandError, match="AUDITLOG_VERIFIER_KEYS") as caught:
        call_command("verify_log")
    assert caught.value.returncode == 2


def test_origin_with_spaces_is_refused(settings: Any) -> None:
    settings.AUDITLOG_ORIGIN = "our log"
    with pytest.raises(ImproperlyConfigured, match="spaces"):
        keys.new_origin(new_tenant().id)


def test_group_that_there_is_not_is_refused() -> None:
    with pytest.raises(CommandError, match="There is no group 7"):
        call_command("run_sequencer", "--group", "7")


def test_without_any_key_nothing_is_verified(settings: Any) -> None:
    settings.AUDITLOG_SIGNING_KEY, settings.AUDITLOG_VERIFIER_KEYS = "", []
    with pytest.raises(CommandError, match="No key is trusted"):
        call_command("verify_log")


def grow(tenant: Tenant) -> str:
    store(tenant, [{}])
    sequence_all()
    return head_of(tenant).checkpoint


def test_key_is_replaced_while_both_sign_and_the_old_one_is_trusted_on(settings: Any) -> None:
    tenant = new_tenant()
    old_pem, new = settings.AUDITLOG_SIGNING_KEY, Ed25519PrivateKey.generate()
    old_public = base64.b64encode(keys.public_keys()[0]).decode()
    first = grow(tenant)
    settings.AUDITLOG_SIGNING_KEY = pem(new) + old_pem
    both = grow(tenant)
    origin = head_of(tenant).origin
    assert len(open_checkpoint(both, keys.verifier_keys(origin)).signed) == 4
    settings.AUDITLOG_SIGNING_KEY, settings.AUDITLOG_VERIFIER_KEYS = pem(new), [old_public]
    last = grow(tenant)
    assert {signed.key.public_key for signed in open_checkpoint(last, keys.verifier_keys(origin)).signed} == {new.public_key().public_bytes_raw()}
    open_checkpoint(first, keys.verifier_keys(origin))
    assert verify(tenant, started_by="command").result == VerificationResult.CLEAN
    # Forgotten, it is a stranger's: what it alone has signed counts no more.
    settings.AUDITLOG_VERIFIER_KEYS = []
    with pytest.raises(NoteError):
        open_checkpoint(first, keys.verifier_keys(origin))
    assert verify(tenant, started_by="command").result == VerificationResult.FINDINGS
