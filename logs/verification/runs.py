"""Verifications on record: each begun, carried on after an interruption, and finished as a `VerificationRun`."""

from __future__ import annotations

import base64
import datetime
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from django.core import signing
from django.utils import timezone

from accounts.deeds import Deed
from accounts.extensions import Outcome, Severity, record
from accounts.models import Tenant
from logs.integrity.anchor import Anchor
from logs.models import VerificationResult, VerificationRun
from logs.verification.findings import Finding
from logs.verification.walk import State, Walk

logger = logging.getLogger(__name__)
SAVE_SECONDS = 5.0
# A run that was saved so long ago was interrupted. Older ones than a week are left alone.
STALE_AFTER = datetime.timedelta(minutes=2)
RESUMABLE_FOR = datetime.timedelta(days=7)
VERIFY = Deed("VERIFY", "audit_log_verification")
ACTORS = {"command": "operator"}
_signer = signing.Signer(salt="logs.verification.state")


def verify(
    tenant: Tenant,
    *,
    started_by: str,
    low: int = 0,
    high: int | None = None,
    extra: Mapping[str, str] | None = None,
    run: VerificationRun | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> VerificationRun:
    """Verify a tenant's log, or the positions `[low, high)` of it, and answer the finished run.

    `extra`: signed checkpoints from elsewhere, by a name to show. `run`: an interrupted one to go on with. `progress` is told how many
    positions are done, of how many. Raises ValueError for a range that the log does not have; whatever else is raised is on record.
    """
    walk = Walk(tenant.id, Anchor(), extra=extra)
    state = walk.begin(low, high) if run is None else _decode(run)
    if run is None:
        run = VerificationRun.objects.create(tenant=tenant, started_by=started_by, low=low, high=state.high if high is None else high)
        phase = "begun"
    else:
        phase = "resumed"
    _record(run, phase, "success")
    saved_at = time.monotonic()
    progress(state.next - state.low, state.high - state.low)
    try:
        for _ in walk.steps(state):
            progress(state.next - state.low, state.high - state.low)
            if time.monotonic() - saved_at >= SAVE_SECONDS:
                saved_at = time.monotonic()
                _save(run, state)
        findings = walk.finish(state)
        _record(run, "ended", "failure" if findings else "success", verified=state.next - state.low, findings=len(findings))
    except Exception as error:
        run.result, run.error, run.finished_at = VerificationResult.FAILED, f"{type(error).__name__}: {error}", timezone.now()
        run.save()
        raise
    except KeyboardInterrupt:
        _save(run, state)
        raise
    run.findings = msgspec.to_builtins(findings)
    run.result = VerificationResult.FINDINGS if findings else VerificationResult.CLEAN
    run.finished_at = timezone.now()
    _save(run, state)
    for finding in findings:
        logger.error("verification of tenant %s: %s", tenant.slug, finding)
    return run


def interrupted_run(tenant: Tenant) -> VerificationRun | None:
    """The tenant's newest run, if it was interrupted and can be gone on with."""
    run = VerificationRun.objects.filter(tenant=tenant).order_by("-id").first()
    if run is None or run.result != VerificationResult.RUNNING or not run.state:
        return None
    age = timezone.now() - run.updated_at
    return run if STALE_AFTER <= age <= RESUMABLE_FOR else None


def findings_of(run: VerificationRun) -> list[Finding]:
    """What a run has found."""
    return msgspec.convert(run.findings, list[Finding])


def _record(run: VerificationRun, phase: str, outcome: Outcome, **more: Any) -> None:
    """Make an entry about a run. Raises NotRecorded."""
    told = {"phase": phase, "from": run.low, "to": run.high, "started_by": run.started_by} | more
    severity: Severity | None = "CRITICAL" if outcome == "failure" else None
    record(run.tenant_id, VERIFY, actor=ACTORS.get(run.started_by, run.started_by), outcome=outcome, resource_id=str(run.pk), metadata=told, severity=severity)


def _save(run: VerificationRun, state: State) -> None:
    run.verified_count = state.next - state.low
    run.state = "" if run.finished_at else _signer.sign(f"{run.tenant_id}:{base64.b64encode(msgspec.msgpack.encode(state)).decode()}")
    run.save()


def _decode(run: VerificationRun) -> State:
    """The state of an interrupted run. One that this server has not signed, or of another tenant, counts for nothing."""
    try:
        tenant_id, _, encoded = _signer.unsign(run.state).partition(":")
        if tenant_id == str(run.tenant_id):
            return msgspec.msgpack.decode(base64.b64decode(encoded), type=State)
    except (signing.BadSignature, msgspec.DecodeError):
        pass
    raise ValueError("the saved state of the run is not what this server has saved; verify anew")
