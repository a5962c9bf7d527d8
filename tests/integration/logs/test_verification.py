"""Tampering as a superuser of the database can do it, each deed on its own: verification names it. A log that nobody touched is clean."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.models import Tenant, User
from auditlog_verify.notes import Checkpoint, Note, sign_checkpoint
from logs.integrity import keys
from logs.integrity.anchor import Anchor
from logs.integrity.entries import canonical_bytes
from logs.models import VerificationResult, VerificationRun
from logs.storage.columns import ENTRY_AS_TEXT
from logs.tasks import verify_logs
from logs.verification import Finding, Kind, runs, walk
from logs.verification.runs import findings_of, interrupted_run, verify
from tests.sequencing import head_of, new_rounds, publish_all, sequence_all
from tests.storing import new_tenant, store
from tests.superuser import superuser

Deed = Callable[[psycopg.Connection[Any], "Log"], None]
COUNT = 700


class Log:
    """A sequenced and published log of `COUNT` entries in batches of several sizes."""

    def __init__(self) -> None:
        self.tenant = new_tenant()
        self.ids: list[str] = []
        for size in (1, 300, 9, 190, 200):
            self.ids += store(self.tenant, [{"severity": "ERROR", "message": f"m{number}"} for number in range(size)])
            sequence_all()
        publish_all()

    def verify(self, **options: Any) -> list[Finding]:
        return findings_of(verify(self.tenant, started_by="command", **options))

    def deed(self, deed: Deed) -> list[Finding]:
        """What verification finds after the deed."""
        with superuser() as connection:
            deed(connection, self)
        return self.verify()


@pytest.fixture
def log(django_db_setup: None) -> Log:
    return Log()


def kinds(findings: list[Finding]) -> set[Kind]:
    return {finding.kind for finding in findings}


def the_one(findings: list[Finding], kind: Kind) -> Finding:
    assert [finding.kind for finding in findings] == [kind], [str(finding) for finding in findings]
    return findings[0]


def run_sql(statement: str, *places: int) -> Deed:
    """A deed: a statement whose placeholders are ids of entries, by their positions."""
    return lambda connection, log: _execute(connection, statement, [log.ids[place] for place in places])


def _execute(connection: psycopg.Connection[Any], statement: str, parameters: list[Any]) -> None:
    assert connection.execute(statement, parameters).rowcount > 0


def test_untouched_log_is_clean(log: Log) -> None:
    assert log.verify() == []
    run = VerificationRun.objects.get(tenant=log.tenant)
    assert (run.result, run.verified_count, run.low, run.high) == (VerificationResult.CLEAN, COUNT, 0, COUNT)


def test_log_without_entries_is_clean() -> None:
    assert findings_of(verify(new_tenant(), started_by="command")) == []


def test_entries_that_wait_for_their_position_are_no_finding(log: Log) -> None:
    store(log.tenant, [{}])
    assert log.verify() == []


@pytest.mark.parametrize("place", [0, 300, 511, 512, COUNT - 1])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("severity = 1", "severity was ERROR"),
        ("user_id = 'mallory'", "is not what came in"),
        ("resource_id = 'x'", "resource_id was empty"),
        ("metadata = '{\"a\": 1}'", "metadata was empty"),
        ("message = NULL", "is not what came in"),
        ("ip_address = '10.0.0.0/8'", "ip_address was empty"),
        ("outcome = 2", "outcome was"),
    ],
)
def test_changed_row_is_named_with_what_can_be_known(log: Log, place: int, change: str, told: str) -> None:
    finding = the_one(log.deed(run_sql(f"UPDATE auditlog.logs_entry SET {change} WHERE id = %s", place)), Kind.CHANGED)
    assert (finding.position, finding.entry_id) == (place, log.ids[place])
    assert told in finding.detail


def test_json_that_could_not_have_come_in_is_a_change(log: Log) -> None:
    deed = run_sql("UPDATE auditlog.logs_entry SET metadata = ('{\"n\": ' || repeat('9', 400) || '}')::jsonb WHERE id = %s", 3)
    assert the_one(log.deed(deed), Kind.CHANGED).position == 3


# The row's own with another end: of the same moment, so its partition is there whatever day it is.
OTHER_END = "9a29a950fc10"
OTHER_ID = f"overlay(id::text placing '{OTHER_END}' from 25)"


def test_changed_id_is_a_change(log: Log) -> None:
    finding = the_one(log.deed(run_sql(f"UPDATE auditlog.logs_entry SET id = {OTHER_ID}::uuid WHERE id = %s", 5)), Kind.CHANGED)
    assert finding.position == 5


@pytest.mark.parametrize("place", [0, 400, COUNT - 1])
def test_deleted_row_is_missing(log: Log, place: int) -> None:
    assert the_one(log.deed(run_sql("DELETE FROM auditlog.logs_entry WHERE id = %s", place)), Kind.MISSING).position == place


COPY_OF_ROW = """
INSERT INTO auditlog.logs_entry SELECT (e).* FROM
    (SELECT jsonb_populate_record(e, {changes}) AS e FROM auditlog.logs_entry AS e WHERE id = %s) AS made
"""
NEW_ID = f"'id', {OTHER_ID}"


@pytest.mark.parametrize(
    "changes",
    [
        f"jsonb_build_object({NEW_ID})",
        f"jsonb_build_object({NEW_ID}, 'batch_index', 5000)",
        f"jsonb_build_object({NEW_ID}, 'batch_index', -1)",
        f"jsonb_build_object({NEW_ID}, 'batch_id', 9000000000000000000)",
    ],
)
def test_inserted_row_is_added(log: Log, changes: str) -> None:
    finding = the_one(log.deed(run_sql(COPY_OF_ROW.format(changes=changes), 20)), Kind.ADDED)
    assert finding.entry_id == log.ids[20][:24] + OTHER_END


def test_rows_that_changed_places_are_reordered(log: Log) -> None:
    swap = "UPDATE auditlog.logs_entry AS a SET batch_index = b.batch_index FROM auditlog.logs_entry AS b WHERE (a.id, b.id) IN ((%s, %s), (%s, %s))"
    findings = log.deed(run_sql(swap, 10, 12, 12, 10))
    assert [(found.kind, found.position, found.entry_id) for found in sorted(findings, key=lambda found: found.position or 0)] == [
        (Kind.REORDERED, 10, log.ids[12]),
        (Kind.REORDERED, 12, log.ids[10]),
    ]


def test_row_that_claims_another_place_is_moved(log: Log) -> None:
    deed = run_sql("UPDATE auditlog.logs_entry SET batch_index = 4000 WHERE id = %s", 40)
    finding = the_one(log.deed(deed), Kind.MOVED)
    assert (finding.position, finding.entry_id) == (40, log.ids[40])


def test_row_in_another_batch_is_moved(log: Log) -> None:
    deed = run_sql("UPDATE auditlog.logs_entry SET batch_id = (SELECT batch_id FROM auditlog.logs_entry WHERE id = %s), batch_index = 0 WHERE id = %s", 650, 40)
    finding = the_one(log.deed(deed), Kind.MOVED)
    assert (finding.position, finding.entry_id) == (40, log.ids[40])


@pytest.mark.parametrize(("place", "start"), [(100, 1), (650, 500)])
def test_altered_record_is_told_from_a_changed_row(log: Log, place: int, start: int) -> None:
    statement = f"""UPDATE auditlog.logs_batch SET records = overlay(records PLACING sha256('x') FROM {(place - start) * 32 + 1})
                    WHERE id = (SELECT batch_id FROM auditlog.logs_entry WHERE id = %s)"""
    finding = the_one(log.deed(run_sql(statement, place)), Kind.RECORD_ALTERED)
    assert (finding.position, finding.entry_id) == (place, log.ids[place])


@pytest.mark.parametrize(("place", "start", "first"), [(100, 1, 0), (650, 500, 512)])
def test_row_changed_together_with_its_record_is_found_in_its_group(log: Log, place: int, start: int, first: int) -> None:
    """The most that can be known: leaf hashes are not stored a second time."""

    def deed(connection: psycopg.Connection[Any], log: Log) -> None:
        connection.execute("UPDATE auditlog.logs_entry SET user_id = 'mallory' WHERE id = %s", [log.ids[place]])
        row = connection.execute(f"SELECT {ENTRY_AS_TEXT} FROM auditlog.logs_entry WHERE id = %s".encode(), [log.ids[place]]).fetchone()
        assert row is not None
        record = sha256(canonical_bytes(row)).digest()
        statement = b"""UPDATE auditlog.logs_batch SET records = overlay(records PLACING %s FROM %s)
                        WHERE id = (SELECT batch_id FROM auditlog.logs_entry WHERE id = %s)"""
        assert connection.execute(statement, [record, (place - start) * 32 + 1, log.ids[place]]).rowcount == 1

    finding = the_one(log.deed(deed), Kind.CHANGED)
    assert finding.position == first
    assert "together with their records" in finding.detail


def test_removed_batch_is_missing(log: Log) -> None:
    def deed(connection: psycopg.Connection[Any], log: Log) -> None:
        (batch,) = connection.execute("SELECT batch_id FROM auditlog.logs_entry WHERE id = %s", [log.ids[305]]).fetchone() or (None,)
        connection.execute("DELETE FROM auditlog.logs_entry WHERE batch_id = %s", [batch])
        connection.execute("DELETE FROM auditlog.logs_batch WHERE id = %s", [batch])

    finding = the_one(log.deed(deed), Kind.MISSING)
    assert (finding.position, "301 to 309" in finding.detail) == (301, True)


@pytest.mark.parametrize("position", [-50, COUNT, 10**12])
def test_batch_outside_of_the_log_is_added(log: Log, position: int) -> None:
    """Its rows would be found by search, with a batch that there is."""

    def deed(connection: psycopg.Connection[Any], log: Log) -> None:
        statement = """INSERT INTO auditlog.logs_batch SELECT (jsonb_populate_record(b, jsonb_build_object('id', -%s::bigint, 'first_position', %s))).*
                       FROM auditlog.logs_batch AS b WHERE tenant_id = %s AND first_position = 0"""
        _execute(connection, statement, [abs(position), position, log.tenant.id])

    assert "which the log has not" in the_one(log.deed(deed), Kind.ADDED).detail


def test_batches_that_changed_places_are_found(log: Log) -> None:
    def deed(connection: psycopg.Connection[Any], log: Log) -> None:
        connection.execute(
            """UPDATE auditlog.logs_batch SET first_position = CASE first_position WHEN 301 THEN 10310 ELSE 301 END
               WHERE tenant_id = %s AND first_position IN (301, 310)""",
            [log.tenant.id],
        )
        connection.execute("UPDATE auditlog.logs_batch SET first_position = 491 WHERE tenant_id = %s AND first_position = 10310", [log.tenant.id])

    assert kinds(log.deed(deed)) == {Kind.CHANGED}


@pytest.mark.parametrize("index", [0, 1])
def test_altered_tile_is_named(log: Log, index: int) -> None:
    def deed(connection: psycopg.Connection[Any], log: Log) -> None:
        statement = "UPDATE auditlog.logs_tile SET hashes = overlay(hashes PLACING sha256('x') FROM %s) WHERE tenant_id = %s AND level = 1"
        _execute(connection, statement, [index * 32 + 1, log.tenant.id])

    finding = the_one(log.deed(deed), Kind.TILE_ALTERED)
    assert f"positions {index * 256} to {index * 256 + 255}" in finding.detail


def test_removed_tile_is_named(log: Log) -> None:
    deed = run_sql("DELETE FROM auditlog.logs_tile WHERE tenant_id = (SELECT tenant_id FROM auditlog.logs_entry WHERE id = %s)", 0)
    assert kinds(log.deed(deed)) == {Kind.TILE_ALTERED}


def test_log_signed_with_another_key_is_forged(log: Log) -> None:
    def deed(connection: psycopg.Connection[Any], log: Log) -> None:
        head = head_of(log.tenant)
        forged = sign_checkpoint(Checkpoint(head.origin, head.tree_size, head.root_hash), [Ed25519PrivateKey.generate()], time_seconds=1)
        _execute(connection, "UPDATE auditlog.logs_head SET checkpoint = %s WHERE tenant_id = %s", [forged, log.tenant.id])

    assert the_one(log.deed(deed), Kind.CHECKPOINT_FORGED).detail == "the newest checkpoint: no trusted key has signed this"


def test_kept_checkpoint_signed_with_another_key_is_forged(log: Log) -> None:
    def deed(connection: psycopg.Connection[Any], log: Log) -> None:
        forged = sign_checkpoint(Checkpoint(head_of(log.tenant).origin, 1, bytes(32)), [Ed25519PrivateKey.generate()], time_seconds=1)
        _execute(connection, "UPDATE auditlog.logs_checkpoint SET checkpoint = %s WHERE tenant_id = %s", [forged, log.tenant.id])

    assert kinds(log.deed(deed)) == {Kind.CHECKPOINT_FORGED, Kind.CHECKPOINT_MISSING}


def test_log_that_was_rolled_back_is_told_by_the_copies(log: Log) -> None:
    """Everything in the database is as it was an hour ago, and well signed; only the copies outside know better."""
    with superuser() as connection:
        before = connection.execute("SELECT * FROM auditlog.logs_head WHERE tenant_id = %s", [log.tenant.id]).fetchone()
        assert before is not None
    newer = store(log.tenant, [{}] * 3)
    store(log.tenant, [{}])
    later = timezone.now() + datetime.timedelta(hours=1)
    sequence_all(lambda: later)
    publish_all()

    def deed(connection: psycopg.Connection[Any], log: Log) -> None:
        connection.execute("DELETE FROM auditlog.logs_entry WHERE tenant_id = %s AND NOT id = ANY (%s::uuid[])", [log.tenant.id, log.ids])
        connection.execute("DELETE FROM auditlog.logs_batch WHERE tenant_id = %s AND first_position >= %s", [log.tenant.id, COUNT])
        connection.execute("DELETE FROM auditlog.logs_checkpoint WHERE tenant_id = %s AND tree_size > %s", [log.tenant.id, COUNT])
        connection.execute("DELETE FROM auditlog.logs_head WHERE tenant_id = %s", [log.tenant.id])
        connection.execute(f"INSERT INTO auditlog.logs_head VALUES ({', '.join(['%s'] * len(before))})".encode(), before)

    assert len(newer) == 3
    assert kinds(log.deed(deed)) == {Kind.ROLLED_BACK, Kind.CHECKPOINT_MISSING}


def test_log_that_was_removed_is_told_by_the_copies(log: Log) -> None:
    def deed(connection: psycopg.Connection[Any], log: Log) -> None:
        for table in ("entry", "batch", "head", "tile", "checkpoint"):
            connection.execute(f"DELETE FROM auditlog.logs_{table} WHERE tenant_id = %s".encode(), [log.tenant.id])

    assert Kind.ROLLED_BACK in kinds(log.deed(deed))


def test_copy_that_was_removed_is_missed(log: Log) -> None:
    shutil.rmtree(Path(unquote(urlsplit(settings.AUDITLOG_ANCHOR_URL).path)) / "checkpoints" / head_of(log.tenant).origin)
    assert the_one(log.verify(), Kind.CHECKPOINT_MISSING).detail.startswith("the kept checkpoint of 1 entries has no copy")


def test_forged_copy_is_named(log: Log) -> None:
    origin = head_of(log.tenant).origin
    Anchor().add(origin, 5, timezone.now(), sign_checkpoint(Checkpoint(origin, 5, bytes(32)), [Ed25519PrivateKey.generate()], time_seconds=1))
    assert kinds(log.verify()) == {Kind.CHECKPOINT_FORGED}


class Away(Anchor):
    def all(self, origin: str) -> Iterator[tuple[str, str]]:
        raise OSError("the storage is away")


def test_copies_that_cannot_be_read_are_a_finding(log: Log) -> None:
    run = walk.Walk(log.tenant.id, Away())
    state = run.begin()
    list(run.steps(state))
    the_one(run.finish(state), Kind.UNREADABLE)


def test_kept_note_of_an_auditor_holds_the_log_to_it(log: Log, tmp_path: Path) -> None:
    origin = head_of(log.tenant).origin
    mine = tmp_path / "checkpoint.txt"
    mine.write_text(head_of(log.tenant).checkpoint)
    call_command("verify_log", "--tenant", log.tenant.slug, "--checkpoint", str(mine))
    # Signed by us, and of another log than the one that is there now: what a fork would leave.
    mine.write_text(sign_checkpoint(Checkpoint(origin, 600, bytes(32)), keys.private_keys(), time_seconds=1))
    with pytest.raises(CommandError) as caught:
        call_command("verify_log", "--tenant", log.tenant.slug, "--checkpoint", str(mine))
    assert caught.value.returncode == 1


def test_many_deeds_are_each_named(log: Log) -> None:
    with superuser() as connection:
        connection.execute("UPDATE auditlog.logs_entry SET user_id = 'mallory' WHERE id = %s", [log.ids[2]])
        connection.execute("DELETE FROM auditlog.logs_entry WHERE id = %s", [log.ids[300]])
        connection.execute("UPDATE auditlog.logs_entry SET batch_index = 4000 WHERE id = %s", [log.ids[699]])
    findings = {finding.position: finding.kind for finding in log.verify()}
    assert findings == {2: Kind.CHANGED, 300: Kind.MISSING, 699: Kind.MOVED}


@pytest.mark.parametrize(("low", "high", "is_found"), [(0, 256, False), (0, 257, True), (257, 300, True), (511, 512, True), (512, 700, False)])
def test_range_is_verified_by_whole_groups(log: Log, low: int, high: int, is_found: bool) -> None:
    with superuser() as connection:
        connection.execute("UPDATE auditlog.logs_entry SET user_id = 'mallory' WHERE id = %s", [log.ids[299]])
    assert [finding.position for finding in log.verify(low=low, high=high)] == [299] * is_found


def test_range_that_the_log_has_not_is_refused(log: Log) -> None:
    with pytest.raises(CommandError, match="700 entries") as caught:
        call_command("verify_log", "--tenant", log.tenant.slug, "--to", "701")
    assert caught.value.returncode == 2


def test_more_differences_than_can_be_named_end_the_run(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_SUSPECTS", 10)
    monkeypatch.setattr(walk, "STEP", 256)
    deed = run_sql("UPDATE auditlog.logs_entry SET user_id = 'm' WHERE tenant_id = (SELECT tenant_id FROM auditlog.logs_entry WHERE id = %s)", 0)
    assert Kind.TOO_MANY in kinds(log.deed(deed))


def test_interrupted_run_goes_on_where_it_was(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "STEP", 256)
    monkeypatch.setattr(runs, "SAVE_SECONDS", 0)
    with superuser() as connection:
        connection.execute("UPDATE auditlog.logs_entry SET user_id = 'mallory' WHERE id = %s", [log.ids[2]])

    def interrupt(done: int, total: int) -> None:
        if done >= 256:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(log.tenant, started_by="command", progress=interrupt)
    assert interrupted_run(log.tenant) is None
    VerificationRun.objects.filter(tenant=log.tenant).update(updated_at=timezone.now() - runs.STALE_AFTER * 2)
    run = interrupted_run(log.tenant)
    assert run is not None
    assert run.verified_count == 256
    starts: list[int] = []
    again = verify(log.tenant, started_by="command", run=run, progress=lambda done, total: starts.append(done))
    assert (again.id, starts[0], again.verified_count) == (run.id, 256, COUNT)
    assert the_one(findings_of(again), Kind.CHANGED).position == 2


def test_resumed_run_holds_the_last_group_to_the_root_of_its_beginning(log: Log) -> None:
    """The log has grown meanwhile, so that no checkpoint of the size is there any more that the run goes up to."""
    state = walk.Walk(log.tenant.id, Anchor()).begin()
    with superuser() as connection:
        run_sql(
            "UPDATE auditlog.logs_batch SET records = sha256('x') || substr(records, 33) WHERE id = (SELECT batch_id FROM auditlog.logs_entry WHERE id = %s)",
            650,
        )(connection, log)
    store(log.tenant, [{}])
    sequence_all()
    resumed = walk.Walk(log.tenant.id, Anchor())
    list(resumed.steps(state))
    assert resumed.finish(state)


class Growing(Anchor):
    """While the copies are read, the log goes on and its next checkpoint is kept and copied."""

    def __init__(self, tenant: Tenant) -> None:
        super().__init__()
        self._tenant = tenant

    def all(self, origin: str) -> Iterator[tuple[str, str]]:
        later = timezone.now() + datetime.timedelta(hours=1)
        store(self._tenant, [{}])
        sequence_all(lambda: later)
        publish_all()
        yield from super().all(origin)


def test_log_that_grows_meanwhile_is_clean(log: Log) -> None:
    run = walk.Walk(log.tenant.id, Growing(log.tenant))
    state = run.begin()
    list(run.steps(state))
    assert run.finish(state) == []


def test_forged_state_is_not_gone_on_with(log: Log) -> None:
    run = VerificationRun.objects.create(tenant=log.tenant, started_by="command", state="x:y")
    with pytest.raises(ValueError, match="not what this server has saved"):
        verify(log.tenant, started_by="command", run=run)


def test_command_names_and_exits(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("verify_log", "--tenant", log.tenant.slug)
    assert "700 entries verified (positions 0 to 700)" in capsys.readouterr().out
    with superuser() as connection:
        connection.execute("UPDATE auditlog.logs_entry SET severity = 1 WHERE id = %s", [log.ids[7]])
    with pytest.raises(CommandError) as caught:
        call_command("verify_log", "--tenant", log.tenant.slug)
    assert caught.value.returncode == 1
    assert f"CHANGED position 7 entry {log.ids[7]}: severity was ERROR when it came in" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--from", "1"], ["--tenant", "there-is-none"], ["--tenant", "x", "--checkpoint", "/nowhere"], ["--tenant", "x", "--resume", "--to", "1"]]
)
def test_command_refuses_what_it_cannot_do(arguments: list[str]) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("verify_log", *arguments)
    assert caught.value.returncode == 2


def test_schedule_puts_every_tenant_on_record(log: Log) -> None:
    other: Tenant = new_tenant()
    verify_logs()
    assert VerificationRun.objects.get(tenant=log.tenant).result == VerificationResult.CLEAN
    assert VerificationRun.objects.get(tenant=other).started_by == "schedule"


def test_sequencer_signs_nothing_on_top_of_a_head_that_is_not_ours(log: Log) -> None:
    with superuser() as connection:
        head = head_of(log.tenant)
        forged = Note(head.checkpoint.partition("\n\n")[0] + "\n", Note.decode(head.checkpoint).signatures).encoded.replace(f"\n{COUNT}\n", "\n699\n")
        connection.execute("UPDATE auditlog.logs_head SET checkpoint = %s WHERE tenant_id = %s", [forged, log.tenant.id])
    store(log.tenant, [{}])
    assert new_rounds().sequence() == {}
    with superuser() as connection:
        row = connection.execute("SELECT reason FROM auditlog.logs_stopped WHERE tenant_id = %s", [log.tenant.id]).fetchone()
    assert row is not None
    assert "not ours" in row[0]


def test_runs_are_looked_at_in_the_admin_and_not_changed_there(log: Log) -> None:
    with superuser() as connection:
        connection.execute("UPDATE auditlog.logs_entry SET severity = 1 WHERE id = %s", [log.ids[7]])
    run = verify(log.tenant, started_by="command")
    browser = Client()
    browser.force_login(User.objects.create_superuser(f"root-{log.tenant.slug}", password="x"))
    page = browser.get(f"/admin/logs/verificationrun/{run.pk}/change/").content.decode()
    assert "severity was ERROR when it came in" in page
    assert "findings: the log is not what was signed" in page
    assert 'name="_save"' not in page
    assert browser.get("/admin/logs/verificationrun/").status_code == 200
    assert browser.get("/admin/logs/verificationrun/add/").status_code == 403
    assert browser.post(f"/admin/logs/verificationrun/{run.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "findings" in str(run)
