"""Evidence bundles: made by the server, checked by a stranger without it, and refused when anything in them is not as it was."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command

from accounts.models import Role
from auditlog_verify.__main__ import main
from auditlog_verify.bundle import BundleError, check_bundle
from auditlog_verify.notes import Checkpoint, keys_of, sign_checkpoint
from logs import evidence
from tests.api import LOGS, NOT_OWN, PostedApi, assert_refused, service_of
from tests.sequencing import head_of, sequence_all, trusted_keys
from tests.storing import new_tenant, new_token, store
from tests.web import CHECKOUT

EXPORT = f"{LOGS}/export"


class Log:
    def __init__(self) -> None:
        self.tenant = new_tenant()
        self.ids = store(self.tenant, [{"user_id": "alice" if number % 3 else "bob"} for number in range(400)])
        sequence_all()
        self.api = service_of(self.tenant)

    def bundle(self, **query: Any) -> bytes:
        answer = self.api.get(EXPORT, format="evidence", **query)
        assert answer.status_code == 200, answer.content
        assert answer["Content-Disposition"].startswith(f'attachment; filename="evidence-{self.tenant.slug}-')
        return b"".join(answer)


@pytest.fixture(scope="module")
def log(django_db_setup: None) -> Log:
    return Log()


def lines_of(bundle: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in bundle.splitlines()]


def bundle_of(lines: list[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def test_whole_log_is_proven_without_a_gap(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "PAGE_ENTRIES", 150)
    verdict = check_bundle(io.BytesIO(log.bundle()), trusted_keys(log.tenant), tenant=str(log.tenant.id))
    assert verdict.is_valid, verdict.faults
    assert (verdict.proven_count, verdict.first, verdict.last, verdict.has_no_gap) == (400, 0, 399, True)


def test_filters_and_limit_choose(log: Log) -> None:
    verdict = check_bundle(io.BytesIO(log.bundle(user_id="bob")), trusted_keys(log.tenant))
    assert (verdict.is_valid, verdict.proven_count, verdict.has_no_gap) == (True, 134, False)
    assert verdict.header.question == f"user_id=bob&{urlencode({'q': NOT_OWN})}"
    limited = check_bundle(io.BytesIO(log.bundle(limit=10)))
    assert limited.footer is not None
    assert (limited.proven_count, limited.footer.has_more) == (10, True)


def test_nothing_found_is_a_bundle_of_nothing(log: Log) -> None:
    verdict = check_bundle(io.BytesIO(log.bundle(user_id="nobody")))
    assert (verdict.is_valid, verdict.proven_count) == (True, 0)


def test_entries_without_position_are_counted_and_left_out() -> None:
    tenant = new_tenant()
    api = service_of(tenant)
    store(tenant, [{}] * 3)
    assert_refused(api.get(EXPORT, format="evidence"), 404, "not_found")
    sequence_all()
    store(tenant, [{}] * 2)
    verdict = check_bundle(io.BytesIO(b"".join(api.get(EXPORT, format="evidence"))))
    assert verdict.footer is not None
    assert (verdict.is_valid, verdict.proven_count, verdict.footer.waiting) == (True, 3, 2)


def test_role_user_gets_own_entries(log: Log) -> None:
    answer = PostedApi(new_token(log.tenant, Role.USER, "bob")).get(EXPORT, format="evidence")
    assert check_bundle(io.BytesIO(b"".join(answer))).proven_count == 134


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ({"format": "xml"}, "unknown_value"),
        ({}, "unknown_value"),
        ({"format": "evidence", "limit": 0}, "bad_limit"),
        ({"format": "evidence", "x": 1}, "unknown_parameter"),
    ],
)
def test_wrong_question_is_refused(log: Log, query: dict[str, Any], fault: str) -> None:
    assert_refused(log.api.get(EXPORT, **query), 422, "invalid_query", fault=fault)


def changed(**values: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda lines: lines[1].update(values)


def forge(lines: list[dict[str, Any]]) -> None:
    """The whole bundle made anew with a key of one's own: valid in itself, and not by the key that one knows."""
    key = Ed25519PrivateKey.generate()
    head = Checkpoint.of_text(lines[0]["checkpoint"].partition("\n\n")[0] + "\n")
    lines[0]["checkpoint"] = sign_checkpoint(head, [key], time_seconds=1)
    lines[0]["keys"] = [one.encoded for one in keys_of(head.origin, [key.public_key().public_bytes_raw()])]


DEEDS: dict[str, tuple[Callable[[list[dict[str, Any]]], Any], str]] = {
    "canonical bytes": (lambda lines: lines[1].update(canonical=lines[1]["canonical"].replace("alice", "mallory").replace("bob", "mallory")), "does not lead"),
    # That of its neighbour: the paths of two siblings are of one length in every tree of an even size.
    "position": (lambda lines: lines[1].update(position=lines[1]["position"] ^ 1), "does not lead"),
    "position outside": (changed(position=400), "outside of a tree"),
    "negative position": (changed(position=-1), "outside of a tree"),
    "path cut": (lambda lines: lines[1]["path"].pop(), "too short"),
    "path too long": (lambda lines: lines[1]["path"].extend(lines[1]["path"] * 20), "too long"),
    "path of another length": (lambda lines: lines[1]["path"].__setitem__(0, "AAAA"), "has not 32 bytes"),
    "entry twice": (lambda lines: lines.insert(1, lines[1]), "twice"),
    "entry taken out": (lambda lines: lines.pop(1), "says that it has 400 entries, and has 399"),
    "end taken off": (lambda lines: lines.pop(), "the bundle is cut off: it has no end"),
    "signed by another key": (forge, "no trusted key has signed this"),
    "size": (lambda lines: lines[0].update(checkpoint=lines[0]["checkpoint"].replace("\n400\n", "\n401\n")), "is wrong"),
    "another tenant named": (lambda lines: lines[0].update(tenant="019a2b3c-4d5e-7000-8000-00000000002a"), "is not that of the tenant"),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_altered_bundle_is_not_valid(deed: str) -> None:
    # Of its own, for each bundle that is made of a log becomes an entry in it.
    log = Log()
    lines = lines_of(log.bundle())
    change, told = DEEDS[deed]
    change(lines)
    verdict = check_bundle(io.BytesIO(bundle_of(lines)), trusted_keys(log.tenant))
    assert not verdict.is_valid
    assert any(told in fault for fault in verdict.faults), verdict.faults[:3]


def test_entry_of_another_tenants_log_is_not_proven(log: Log) -> None:
    other = Log()
    lines, others = lines_of(log.bundle()), lines_of(other.bundle())
    lines[1] = others[1]
    assert not check_bundle(io.BytesIO(bundle_of(lines)), trusted_keys(log.tenant)).is_valid
    verdict = check_bundle(io.BytesIO(other.bundle()), trusted_keys(log.tenant), tenant=str(log.tenant.id))
    assert any("the given keys are for" in fault for fault in verdict.faults)
    assert any("not of" in fault for fault in verdict.faults)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.99])
def test_bundle_cut_anywhere_is_told(log: Log, share: float) -> None:
    bundle = log.bundle()
    with pytest.raises(BundleError, match=r"cut off|no evidence bundle"):
        check_bundle(io.BytesIO(bundle[: int(len(bundle) * share)]))


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b"[1]\n", b"\xff\xfe\n", b'{"kind":"end","entries":0}\n', b"PK\x03\x04" * 100])
def test_file_that_is_no_bundle_is_refused(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(content)
    assert main([str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("CAN'T BE CHECKED")


def test_bundle_with_two_ends_is_refused(log: Log) -> None:
    bundle = log.bundle(limit=1)
    with pytest.raises(BundleError, match="after its end"):
        check_bundle(io.BytesIO(bundle + bundle.splitlines(keepends=True)[-1]))


def test_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    monkeypatch.setattr("auditlog_verify.bundle.MAX_LINE_BYTES", 100)
    with pytest.raises(BundleError, match="longer than 100 bytes"):
        check_bundle(io.BytesIO(log.bundle(limit=1)))


def test_command_and_verifier_work_without_django(log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "the evidence.ndjson"
    call_command("evidence", str(file), "--tenant", log.tenant.slug, "--query", f"user_id=bob&{urlencode({'q': NOT_OWN})}")
    assert "is written" in capsys.readouterr().out
    keys = tmp_path / "keys.txt"
    keys.write_text("".join(key.encoded + "\n" for key in trusted_keys(log.tenant)))
    # Neither Django nor any of our own packages is to be found by it.
    blocked = ", ".join(f"'{name}': None" for name in ("django", "accounts", "logs", "auditlog_project", "psycopg"))
    program = f"import sys, runpy; sys.modules.update({{{blocked}}}); runpy.run_module('auditlog_verify', run_name='__main__', alter_sys=True)"
    done = subprocess.run([sys.executable, "-c", program, str(file), "--key", str(keys)], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Entries   134 proven" in done.stdout
    assert "Question  user_id=bob" in done.stdout
    assert done.stdout.endswith("\nVALID\n")


def test_verifier_explains(log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bundle"
    file.write_bytes(log.bundle(limit=400))
    assert main([str(file)]) == 0
    out = capsys.readouterr().out
    assert "The key was taken from the bundle itself" in out
    assert "They are all that the log has from position 0 to 399." in out
    key = trusted_keys(log.tenant)[0].encoded
    assert main([str(file), "--key", key, "--tenant", str(log.tenant.id)]) == 0
    assert "taken from the bundle" not in capsys.readouterr().out
    assert main([str(file), "--tenant", "another"]) == 1
    assert "NOT VALID" in capsys.readouterr().out
    assert main([str(file), "--key", key[:-4] + "AAA="]) == 2
    assert main([str(tmp_path / "none")]) == 2
    file.write_bytes(log.bundle(limit=3))
    assert main([str(file)]) == 0
    assert "left out others" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--tenant", "there-is-none"], "no tenant"), (["--query", "usr=x"], "no parameter 'usr'"), (["--limit", "0"], "limit has to be")],
)
def test_command_refuses_what_it_cannot_do(log: Log, tmp_path: Path, arguments: list[str], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        call_command("evidence", str(tmp_path / "x"), *(["--tenant", log.tenant.slug] if "--tenant" not in arguments else []), *arguments)
    assert not (tmp_path / "x").exists()


def test_command_overwrites_nothing_and_can_write_to_standard_output(log: Log, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(CommandError, match="File exists"):
        call_command("evidence", str(tmp_path / "x"), "--tenant", log.tenant.slug)
    assert (tmp_path / "x").read_text() == "mine"
    call_command("evidence", "-", "--tenant", log.tenant.slug, "--limit", "2")
    sys.stdout.flush()
    assert check_bundle(io.BytesIO(capfdbinary.readouterr().out)).proven_count == 2


def test_bundle_is_proven_by_the_head_of_its_making(log: Log) -> None:
    assert check_bundle(io.BytesIO(log.bundle(limit=1))).header.checkpoint == head_of(log.tenant).checkpoint
