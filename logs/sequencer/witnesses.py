"""Asking witnesses to cosign (C2SP tlog-witness, `add-checkpoint`): others who vouch that the log only grows."""

from __future__ import annotations

import base64
import uuid

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from auditlog_verify.notes import COSIGNATURE, Checkpoint, Note, NoteError, VerifierKey, signature_lines
from logs.integrity.storage import StoredNodes
from logs.integrity.tree import consistency_path
from logs.outbound import Answer, OutboundError, Reach, check_url, post
from logs.storage.reading import tenant_transaction

TIMEOUT_SECONDS = 10


class WitnessError(Exception):
    """A witness did not cosign. The message says why."""


class Witness:
    """One witness: its key and the prefix of its address. Remembers what it has seen of each log."""

    def __init__(self, key: VerifierKey, url: str) -> None:
        self._key = key
        self._url = url.rstrip("/")
        self._seen: dict[str, int] = {}

    @property
    def name(self) -> str:
        return self._key.name

    def cosign(self, tenant_id: uuid.UUID, encoded: str) -> str:
        """The witness's signature lines for a checkpoint of the tenant's log. Raises WitnessError."""
        try:
            checkpoint = Checkpoint.of_text(Note.decode(encoded).text)
            response = self._submit(tenant_id, checkpoint, encoded)
            if response.status == 409:
                # It has seen another size: the answer says which.
                self._seen[checkpoint.origin] = int(response.text)
                response = self._submit(tenant_id, checkpoint, encoded)
            if response.status != 200:
                raise WitnessError(f"it answered {response.status} {response.text[:200]}")
            lines = [line for line in signature_lines(response.text) if (line.name, line.key_id) == (self._key.name, self._key.key_id)]
            # Raises unless the witness's own key has signed this very checkpoint.
            Note(checkpoint.text, tuple(lines)).signed_by([self._key])
        except (OutboundError, NoteError, ValueError) as error:
            raise WitnessError(str(error)) from error
        self._seen[checkpoint.origin] = checkpoint.tree_size
        return "".join(line.encoded for line in lines)

    def _submit(self, tenant_id: uuid.UUID, checkpoint: Checkpoint, encoded: str) -> Answer:
        old = self._seen.get(checkpoint.origin, 0)
        if old > checkpoint.tree_size:
            raise WitnessError(f"it has seen {old} entries, more than the {checkpoint.tree_size} of this checkpoint")
        with tenant_transaction(tenant_id) as cursor:
            path = consistency_path(old, checkpoint.tree_size, StoredNodes(cursor))
        proof = "".join(base64.b64encode(step).decode() + "\n" for step in path)
        body = f"old {old}\n{proof}\n{encoded}".encode()
        return post(f"{self._url}/add-checkpoint", body, reach=Reach.INSIDE, timeout_seconds=TIMEOUT_SECONDS)


def configured_witnesses() -> list[Witness]:
    """The witnesses of AUDITLOG_WITNESSES. Raises ImproperlyConfigured."""
    found = []
    for item in settings.AUDITLOG_WITNESSES:
        # A key ends with base64, which may end with "="; the address begins with its scheme.
        encoded, mark, address = item.rpartition("=http")
        try:
            key = VerifierKey.decode(encoded)
        except NoteError as error:
            raise ImproperlyConfigured(f"AUDITLOG_WITNESSES: {error}.") from None
        if not mark or key.kind != COSIGNATURE:
            raise ImproperlyConfigured(f"AUDITLOG_WITNESSES: {item!r} is not `verifier key=http(s)://...` with a key for cosignatures (kind 4).")
        try:
            check_url("http" + address, reach=Reach.INSIDE)
        except OutboundError as error:
            raise ImproperlyConfigured(f"AUDITLOG_WITNESSES: {error}") from None
        found.append(Witness(key, "http" + address))
    return found
