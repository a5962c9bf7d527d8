"""Rights that are lost while an export is on its way: what is not sent yet is not sent."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest
from django.http import QueryDict
from django.utils import timezone

from accounts import standing
from accounts.models import ApiKey, Tenant
from accounts.problems import NotAllowed
from logs import evidence
from logs.evidence import evidence_question_of, write_evidence
from logs.export import export_question_of, open_stream, stream
from logs.export.stream import ExportCut, stream_count
from tests.access import new_grant, row_of
from tests.sequencing import sequence_all
from tests.storing import new_key, new_tenant, store

COUNT = 3_000
CHANGES: dict[str, Callable[[ApiKey], object]] = {
    "revoked": lambda key: ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now()),
    "narrowed": lambda key: ApiKey.objects.filter(pk=key.pk).update(grant=new_grant(key.tenant, forced_query="user:bob", may_export=True)),
    "may not export": lambda key: ApiKey.objects.filter(pk=key.pk).update(grant=new_grant(key.tenant)),
    "scope": lambda key: ApiKey.objects.filter(pk=key.pk).update(scopes=["logs:write"]),
}


@pytest.fixture(scope="module")
def tenant(django_db_setup: None) -> Tenant:
    tenant = new_tenant()
    store(tenant, [{"metadata": {"noise": secrets.token_hex(600)}} for _ in range(COUNT)])
    sequence_all()
    return tenant


@pytest.fixture(autouse=True)
def _look_before_every_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise every two seconds, and this log is sent in less."""
    monkeypatch.setattr(stream, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(evidence, "LOOK_SECONDS", 0.0)


@pytest.mark.parametrize("change", CHANGES)
def test_stream_is_cut(tenant: Tenant, change: str) -> None:
    key = row_of(new_key(tenant))
    export = open_stream(export_question_of(QueryDict("format=ndjson"), standing.of_key(key)))
    try:
        received = [next(export)]
        CHANGES[change](key)
        with pytest.raises(ExportCut, match="asker"):
            received += export
    finally:
        export.close()
    assert b"".join(received).count(b"\n") < COUNT
    assert stream_count() == 0


@pytest.mark.parametrize("change", CHANGES)
def test_evidence_is_cut(tenant: Tenant, change: str) -> None:
    key = row_of(new_key(tenant))
    principal = standing.of_key(key)
    lines = write_evidence(evidence_question_of(QueryDict(""), principal), lambda: standing.may_go_on(principal))
    received = [next(lines), next(lines)]
    CHANGES[change](key)
    with pytest.raises(NotAllowed):
        received += lines
    # Without its last line a bundle is not whole, and the verifier says so.
    assert b'"has_more"' not in received[-1]


def test_stream_goes_on_while_nothing_is_lost(tenant: Tenant) -> None:
    export = open_stream(export_question_of(QueryDict("format=ndjson"), standing.of_key(row_of(new_key(tenant)))))
    try:
        assert b"".join(export).count(b"\n") == COUNT
    finally:
        export.close()
