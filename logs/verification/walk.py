"""The way through the log: batch after batch, each row against its record, each group of 256 records against its tile, each tree size
that was signed against its root.

Invariants: memory holds one group and one batch's rows at a time, and the differences up to `MAX_SUSPECTS`; `State` is all that it needs
to go on after it was interrupted.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from django.db import connection
from psycopg import sql

from auditlog_verify.merkle import HASH_BYTES, Edge, leaf_hash, perfect_root
from logs.errors import IntegrityViolation
from logs.integrity.anchor import Anchor
from logs.integrity.entries import record
from logs.integrity.storage import Batch, StoredNodes, read_batches, read_head, read_tiles
from logs.integrity.tiles import WIDTH
from logs.integrity.tree import edge_at
from logs.storage.columns import ENTRY_AS_TEXT, INDEX
from logs.storage.reading import tenant_transaction
from logs.verification.findings import Finding, Kind
from logs.verification.heads import Claims, gather
from logs.verification.rows import difference
from logs.verification.suspects import ChangedRow, LostPlace, StrayRow, Suspects
from logs.verification.tree import tile_name, tile_root

MAX_SUSPECTS = 1_000
# Positions that are looked through in one transaction.
STEP = 64 * WIDTH
FETCH_ROWS = 500
# Long questions over the whole log, which no page waits for.
SLOW = "SELECT set_config('statement_timeout', '0', true)"
SELECT_ROWS = sql.SQL("SELECT {}, batch_id, batch_index FROM auditlog.logs_entry_view WHERE batch_id = ANY (%s::bigint[])").format(sql.SQL(ENTRY_AS_TEXT))
# Rows whose batch there is not. Plan: a hash of the batches' keys, every row once.
SELECT_STRAYS = sql.SQL("""
SELECT {}, batch_id, batch_index FROM auditlog.logs_entry_view AS e
WHERE NOT EXISTS (SELECT FROM auditlog.logs_batch_view AS b WHERE b.id = e.batch_id) LIMIT %s
""").format(sql.SQL(ENTRY_AS_TEXT))

# Batches that claim positions which the log has not. One statement, so that head and batches are of one moment. Plan: the tenant's batches.
SELECT_OUTSIDE = """
SELECT b.id, b.first_position, b.entry_count FROM auditlog.logs_batch_view AS b LEFT JOIN auditlog.logs_head_view AS h ON true
WHERE b.first_position < 0 OR b.entry_count <= 0 OR b.first_position + b.entry_count > coalesce(h.tree_size, 0) LIMIT %s
"""


class State(msgspec.Struct):
    """How far a verification of the positions `[low, high)` has come. `peaks`: of the tree of the first `next` leaves."""

    low: int
    high: int
    next: int
    peaks: list[bytes]
    # The signed root at `high`, if that was all of the log when the run began.
    root: bytes | None = None
    tiles_are_signed: bool = False
    are_strays_sought: bool = False
    findings: list[Finding] = []
    suspects: Suspects = msgspec.field(default_factory=Suspects)
    # First positions of groups whose records and tile do not agree, and whether a tree from records alone led to the signed root.
    odd_groups: list[int] = []
    records_are_signed: bool = False


class Walk:
    """One verification of one tenant's log. `whole`: no range was asked for, so rows outside of every batch are sought too."""

    def __init__(self, tenant_id: uuid.UUID, anchor: Anchor, *, extra: Mapping[str, str] | None = None) -> None:
        self._tenant_id = tenant_id
        self._anchor = anchor
        self._extra = dict(extra or {})
        self._claims: Claims | None = None

    def begin(self, low: int = 0, high: int | None = None) -> State:
        """Look at heads and tiles, and set out. Raises ValueError for a range that the log does not have."""
        with tenant_transaction(self._tenant_id) as cursor:
            cursor.execute(SLOW)
            head = read_head(cursor)
            size = head.tree_size if head else 0
            if not 0 <= low <= (size if high is None else high) <= size:
                raise ValueError(f"the log has {size} entries: there is no range from {low} to {high if high is not None else size}")
            self._claims = gather(cursor, self._tenant_id, head, self._anchor, self._extra)
            findings = list(self._claims.findings)
            is_whole = low == 0 and high in (None, size)
            start = low - low % WIDTH
            # A group is only proven as a whole.
            end = size if high is None else min(size, high + -high % WIDTH)
            root, altered = tile_root(cursor, size)
            findings += altered
            tiles_are_signed = root is not None and root in self._claims.roots.get(size, {})
            try:
                peaks = list(edge_at(start, StoredNodes(cursor)).peaks)
            except IntegrityViolation as error:
                findings.append(Finding(Kind.TILE_ALTERED, f"{error}; going on from the beginning"))
                start, peaks = 0, []
        if not tiles_are_signed and not is_whole and size:
            findings.append(Finding(Kind.TILE_ALTERED, "the tiles and the last records do not lead to the signed root; verify the whole log to learn where"))
        signed_root = head.root_hash if head is not None and end == size and head.root_hash in self._claims.roots.get(size, {}) else None
        return State(start, end, start, peaks, signed_root, tiles_are_signed, not is_whole, findings)

    def steps(self, state: State) -> Iterator[State]:
        """Go on from `state`, and give it back changed after every step. At the end `finish` tells the result."""
        if self._claims is None:
            with tenant_transaction(self._tenant_id) as cursor:
                cursor.execute(SLOW)
                self._claims = gather(cursor, self._tenant_id, read_head(cursor), self._anchor, self._extra)
        if state.root is not None:
            # Of a resumed run: the log has gone on, and its newest checkpoint is of another size.
            self._claims.roots[state.high].setdefault(state.root, "the newest checkpoint when the run began")
        while state.next < state.high and state.suspects.count + len(state.odd_groups) < MAX_SUSPECTS:
            with tenant_transaction(self._tenant_id) as cursor:
                self._step(cursor, state, min(state.high, state.next + STEP))
            yield state
        if not state.are_strays_sought:
            with tenant_transaction(self._tenant_id) as cursor:
                cursor.execute(SLOW)
                cursor.execute(SELECT_STRAYS, [MAX_SUSPECTS])
                for row in cursor.fetchall():
                    detail = f"it names the batch {row[-2]}, which there is not"
                    state.suspects.strays.append(StrayRow(row[INDEX["id"]], record(row), detail))
                cursor.execute(SELECT_OUTSIDE, [MAX_SUSPECTS])
                for batch, first, count in cursor.fetchall():
                    detail = f"the batch {batch} claims {count} positions from {first} on, which the log has not"
                    state.findings.append(Finding(Kind.ADDED, detail))
            state.are_strays_sought = True
            yield state

    @staticmethod
    def finish(state: State) -> list[Finding]:
        """Everything that was found."""
        findings = [*state.findings, *state.suspects.findings()]
        for first in state.odd_groups:
            named = any(finding.position is not None and first <= finding.position < first + WIDTH for finding in findings)
            last = min(first + WIDTH, state.high) - 1
            if not state.tiles_are_signed and state.records_are_signed:
                findings.append(Finding(Kind.TILE_ALTERED, f"the tile {tile_name(1, first // WIDTH // WIDTH)} is wrong for the positions {first} to {last}"))
            elif not named:
                detail = f"one or more of the positions {first} to {last} were changed together with their records, or changed places with others"
                findings.append(Finding(Kind.CHANGED, detail, first))
        if state.next < state.high:
            findings.append(Finding(Kind.TOO_MANY, f"stopped at position {state.next}: more than {MAX_SUSPECTS} differences"))
        return findings

    # -- one step ------------------------------------------------------------------------------------------------

    def _step(self, cursor: Any, state: State, end: int) -> None:
        """From `state.next`, which is where a group begins, to `end`, which is where one ends or the log does."""
        batches = list(_contiguous(read_batches(cursor, state.next, end), state, end))
        look = Look(state, end)
        by_id = {batch.id: batch for batch in batches}
        for row in _rows([batch.id for batch in batches]):
            look.take(row, by_id[row[-2]])
        records: list[bytes | None] = [None] * (end - state.next)
        for batch in batches:
            for position in range(max(state.next, batch.first_position), min(end, batch.end)):
                expected = records[position - state.next] = batch.record(position)
                if position not in look.rows:
                    when = f"{batch.committed_at:%Y-%m-%d %H:%M:%S} UTC"
                    detail = f"no row is stored for it, which was entry {position - batch.first_position} of the batch that was committed at {when}"
                    state.suspects.lost.append(LostPlace(position, expected, detail))
        self._check_groups(cursor, state, records, look.differing)
        state.next = end

    def _check_groups(self, cursor: Any, state: State, records: list[bytes | None], differing: Mapping[int, tuple[str, bytes | None]]) -> None:
        """Hold the records, group by group, against the tiles of level 1 and the signed roots."""
        start, end = state.next, state.next + len(records)
        tiles = read_tiles(cursor, {(1, first // WIDTH // WIDTH) for first in range(start, end, WIDTH)})
        edge = Edge(start, tuple(state.peaks))
        for first in range(start, end, WIDTH):
            number = first // WIDTH
            group = Group(first, records[first - start : first - start + WIDTH], differing)
            signed = tiles.get((1, number // WIDTH), b"")[number % WIDTH * HASH_BYTES :][:HASH_BYTES]
            if group.is_full and not group.has_root(signed):
                # Of a group with a gap that is reported already no more can be said.
                if group.is_complete and not group.heal(state, lambda leaves, signed=signed: perfect_root(leaves) == signed):  # type: ignore[misc]
                    state.odd_groups.append(first)
                if state.tiles_are_signed or not group.is_complete:
                    # The tile is what was signed, so the way on leads over it.
                    edge = _with_group(edge, signed or bytes(HASH_BYTES))
                    continue
            if not group.is_complete:
                return
            self._check_claims(state, edge, group)
            edge = edge.append(group.leaves)[0]
        state.peaks = list(edge.peaks)

    def _check_claims(self, state: State, edge: Edge, group: Group) -> None:
        """Hold the root at each signed size within this group against what was signed."""
        roots = self._claims.roots if self._claims else {}
        last = group.first + len(group.leaves)
        if state.odd_groups and not state.tiles_are_signed:
            # Records or tiles are wrong: the records, unless they lead to the signed root in the end. Sizes in between tell nothing.
            state.records_are_signed = last == state.high and edge.append(group.leaves)[0].root in roots.get(last, {})
            return
        # The largest first: if that is right, all records are, and the fault of a smaller one is its own.
        for size in range(last, group.first, -1):
            if size not in roots:
                continue
            contradictions = list(self._claims.contradictions(size, edge.append(group.leaves[: size - group.first])[0].root)) if self._claims else []
            if contradictions and size == last and not group.is_full:
                if not group.heal(state, lambda leaves, wanted=roots[size]: edge.append(leaves)[0].root in wanted):  # type: ignore[misc]
                    state.odd_groups.append(group.first)
                return
            state.findings += contradictions
            state.records_are_signed = state.records_are_signed or (size == state.high and not contradictions)


class Look:
    """The rows of one step, each held against its record. `rows`: (id, record) by position; `differing`: those that are not as recorded."""

    def __init__(self, state: State, end: int) -> None:
        self._state = state
        self._end = end
        self.rows: dict[int, tuple[str, bytes | None]] = {}
        self.differing: dict[int, tuple[str, bytes | None]] = {}

    def take(self, row: Any, batch: Batch) -> None:
        """One row that names the batch."""
        state, suspects = self._state, self._state.suspects
        id, index, found = row[INDEX["id"]], row[-1], record(row)
        position = batch.first_position + index
        if not 0 <= index < batch.entry_count:
            # A batch may reach over several steps; only the first of them reports this.
            if max(batch.first_position, state.low) >= state.next:
                suspects.strays.append(StrayRow(id, found, f"it claims to be entry {index} of the batch {batch.id}, which has {batch.entry_count}"))
            return
        if not state.next <= position < self._end:
            return
        expected = batch.record(position)
        if position in self.rows:
            if found == expected and position in self.differing:
                # Of two that claim one place, the one that has its record is the right one.
                id, found = self.differing.pop(position)
                suspects.changed[:] = [changed for changed in suspects.changed if changed.position != position]
                self.rows[position] = row[INDEX["id"]], expected
            suspects.strays.append(StrayRow(id, found, f"another entry has its place, position {position}"))
            return
        self.rows[position] = id, found
        if found != expected:
            self.differing[position] = id, found
            suspects.changed.append(ChangedRow(position, id, expected, found, difference(row, expected)))


class Group:
    """Up to 256 records from the position `first` on, None where there is none."""

    def __init__(self, first: int, records: list[bytes | None], differing: Mapping[int, tuple[str, bytes | None]]) -> None:
        self.first = first
        self._records = records
        self._differing = differing
        self.leaves = [leaf_hash(record) for record in records if record is not None]

    @property
    def is_full(self) -> bool:
        return len(self._records) == WIDTH

    @property
    def is_complete(self) -> bool:
        return len(self.leaves) == len(self._records)

    def has_root(self, root: bytes) -> bool:
        return self.is_complete and perfect_root(self.leaves) == root

    def heal(self, state: State, is_right: Callable[[list[bytes]], bool]) -> bool:
        """Do the rows' own records make the group right? Then it was the records that were altered, not the rows: noted so."""
        altered = {position: self._differing[position] for position in range(self.first, self.first + len(self._records)) if position in self._differing}
        leaves = list(self.leaves)
        for position, (_, actual) in altered.items():
            if actual is None:
                return False
            leaves[position - self.first] = leaf_hash(actual)
        if not altered or not is_right(leaves):
            return False
        self.leaves = leaves
        state.suspects.changed[:] = [changed for changed in state.suspects.changed if changed.position not in altered]
        for position, (id, _) in altered.items():
            state.findings.append(Finding(Kind.RECORD_ALTERED, "the record of it in its batch was altered; the entry is what was signed", position, id))
        return True


def _contiguous(batches: list[Batch], state: State, end: int) -> Iterator[Batch]:
    """The batches, with what is wrong in their sequence noted."""
    position = state.next
    for batch in batches:
        if len(batch.records) != batch.entry_count * HASH_BYTES:
            state.findings.append(Finding(Kind.RECORD_ALTERED, f"the batch {batch.id} has not a record for each entry", batch.first_position))
        if batch.first_position > position:
            state.findings.append(Finding(Kind.MISSING, _gap(position, batch.first_position), position))
        elif batch.first_position < position != state.next:
            state.findings.append(Finding(Kind.REORDERED, f"the batch {batch.id} claims positions of the one before it", batch.first_position))
            continue
        if batch.end > position:
            position = batch.end
            yield batch
    if position < end:
        state.findings.append(Finding(Kind.MISSING, _gap(position, end), position))


def _gap(low: int, high: int) -> str:
    return f"the positions {low} to {high - 1} belong to no batch: what held them was removed"


def _rows(batch_ids: list[int]) -> Iterator[Any]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(SELECT_ROWS, [batch_ids])
        while rows := cursor.fetchmany(FETCH_ROWS):
            yield from rows


def _with_group(edge: Edge, node: bytes) -> Edge:
    """The tree with one more group, given its node."""
    return Edge(edge.size + WIDTH, Edge(edge.size // WIDTH, edge.peaks).append([node])[0].peaks)
