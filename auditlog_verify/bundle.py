"""Evidence bundles: entries with everything that proves them, in one file that anybody can check.

A bundle is NDJSON (UTF-8). First a `Header`, then a line for each entry (`Member`), last a `Footer`. Without its footer a bundle was cut off.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import msgspec

from auditlog_verify.merkle import ProofError, check_inclusion, leaf_hash
from auditlog_verify.notes import NoteError, OpenedCheckpoint, VerifierKey, open_checkpoint

FORMAT = "auditlog-evidence@v1"
MAX_LINE_BYTES = 16 * 2**20
MAX_FAULTS = 20
# Of a tree of 2**63 leaves.
MAX_PATH = 63


class Header(msgspec.Struct, tag_field="kind", tag="header"):
    """What the bundle is about. `keys`: verifier keys in the log's own words; `checkpoint`: the signed note that every entry is proven by."""

    format: str
    origin: str
    tenant: str
    made_at: datetime.datetime
    question: str
    keys: list[str]
    checkpoint: str


class Member(msgspec.Struct, tag_field="kind", tag="entry"):
    """One entry: its position (leaf index), its canonical bytes as text, its inclusion path from the leaf up (32 bytes each, base64)."""

    position: int
    canonical: str
    path: list[bytes]


class Footer(msgspec.Struct, tag_field="kind", tag="end"):
    """The end. `waiting`: entries that the question found and that had no position yet; `has_more`: the bundle's limit left some out."""

    entries: int
    waiting: int = 0
    has_more: bool = False


class BundleError(ValueError):
    """The file is no bundle, or not a whole one. The message says why."""


@dataclass
class Verdict:
    """What checking a bundle came to. It holds if there are no `faults`. `positions` only counts what was proven."""

    header: Header
    checkpoint: OpenedCheckpoint | None = None
    faults: list[str] = field(default_factory=list)
    proven_count: int = 0
    first: int | None = None
    last: int | None = None
    footer: Footer | None = None

    @property
    def is_valid(self) -> bool:
        return not self.faults

    @property
    def has_no_gap(self) -> bool:
        """Are the proven entries all that the log has between the first and the last of them?"""
        return self.first is not None and self.last is not None and self.last - self.first + 1 == self.proven_count


_decode = msgspec.json.Decoder(Header | Member | Footer).decode
_decode_entry = msgspec.json.Decoder(dict[str, Any]).decode


def check_bundle(file: BinaryIO, keys: Sequence[VerifierKey] | None = None, *, tenant: str | None = None) -> Verdict:
    """Check a bundle. `keys`: those that are trusted, None for those in the bundle itself. `tenant`: whose log it has to be of.

    Raises BundleError for a file that is no bundle; what else is wrong is in the verdict.
    """
    lines = _lines(file)
    header = next(lines, None)
    if not isinstance(header, Header) or header.format != FORMAT:
        raise BundleError(f"this is no evidence bundle: its first line is not a header of {FORMAT}")
    verdict = Verdict(header)
    try:
        trusted = [VerifierKey.decode(text) for text in header.keys] if keys is None else list(keys)
        verdict.checkpoint = open_checkpoint(header.checkpoint, trusted, origin=header.origin)
    except NoteError as error:
        verdict.faults.append(_about_keys(error, header, keys))
    if tenant is not None and header.tenant != tenant:
        verdict.faults.append(f"the bundle is of the tenant {header.tenant}, not of {tenant}")
    # After an accepted restore a log goes on as `….2`.
    if header.tenant != header.origin.rpartition("/")[2].partition(".")[0]:
        verdict.faults.append(f"the log {header.origin} is not that of the tenant {header.tenant}")
    seen: set[int] = set()
    count = 0
    for line in lines:
        if verdict.footer is not None or isinstance(line, Header):
            raise BundleError("the bundle goes on after its end, or begins twice")
        if isinstance(line, Footer):
            verdict.footer = line
            continue
        count += 1
        fault = _fault_of(line, verdict, seen)
        if fault is None:
            seen.add(line.position)
            verdict.proven_count += 1
        elif len(verdict.faults) < MAX_FAULTS:
            verdict.faults.append(f"entry {count} of the bundle, position {line.position}: {fault}")
    verdict.first, verdict.last = (min(seen), max(seen)) if seen else (None, None)
    if verdict.footer is None:
        verdict.faults.append(f"the bundle is cut off: it has no end after {count} entries")
    elif verdict.footer.entries != count:
        verdict.faults.append(f"the bundle says that it has {verdict.footer.entries} entries, and has {count}")
    return verdict


def _fault_of(member: Member, verdict: Verdict, seen: set[int]) -> str | None:
    if verdict.checkpoint is None:
        return "it can't be proven without a checkpoint that is trusted"
    if member.position in seen:
        return "the bundle has this position twice"
    if len(member.path) > MAX_PATH:
        return "the inclusion path is too long"
    head = verdict.checkpoint.checkpoint
    canonical = member.canonical.encode()
    try:
        check_inclusion(
            leaf_hash=leaf_hash(hashlib.sha256(canonical).digest()),
            leaf_index=member.position,
            tree_size=head.tree_size,
            inclusion_path=member.path,
            root_hash=head.root_hash,
        )
        entry = _decode_entry(canonical)
    except (ProofError, msgspec.DecodeError) as error:
        return str(error)
    if entry.get("tenant") != verdict.header.tenant:
        return f"the entry is of the tenant {entry.get('tenant')}"
    return None


def _about_keys(error: NoteError, header: Header, keys: Sequence[VerifierKey] | None) -> str:
    names = sorted({key.name for key in keys or ()})
    if names and header.origin not in names:
        return f"the checkpoint: {error}. The bundle is of the log {header.origin}; the given keys are for {', '.join(names)}"
    return f"the checkpoint: {error}"


def _lines(file: BinaryIO) -> Iterator[Header | Member | Footer]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise BundleError(f"line {number} is longer than {MAX_LINE_BYTES} bytes")
        if not line.endswith(b"\n"):
            raise BundleError(f"the bundle is cut off in line {number}")
        try:
            yield _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BundleError(f"line {number} is none of a bundle: {error}") from None
