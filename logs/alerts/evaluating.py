"""The follower that evaluates a tenant's rules: once through the log for all of them.

Invariants:
- The cursor, what every rule remembers and the alerts move in one transaction, which begins by moving the cursor from the revision that was
  read (compare and set). Whoever is second finds another revision, writes nothing and begins again: nothing counts twice or is skipped,
  whatever dies where.
- Only rules that have the version that was read within that transaction are evaluated; a change in between begins it again.
- A rule that fails is shown with its error, and holds up no other. It is evaluated again once it is changed, or switched off and on.
- Time is the log's clock: it runs to where everything that was received has been read (`Chunk.until_us`), however late the evaluator is.
"""

from __future__ import annotations

import datetime
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from logs.alerts.conditions import Firing, FirstSeen, Match, State
from logs.alerts.definition import Compiled, values_of
from logs.alerts.learning import MAX_KNOWN, find_matches, keep_known, known_among
from logs.alerts.loading import Loaded, RunningRule, encoded, load, versions_of
from logs.alerts.quieting import Admitted, QuietState, admit, moment_of
from logs.alerts.reading import Chunk, ReadEntry, entry_ids_at, read_chunk
from logs.alerts.recording import record_fired
from logs.following import Follower
from logs.models import Alert, AlertCursor, AlertProgress, AlertRule
from logs.streaming.reading import tree_size_of

logger = logging.getLogger(__name__)
# An entry may have a quarter of a megabyte: not more of them at once.
CHUNK_POSITIONS = 1_000
# What the query of one rule may cost: an entry of the greatest size is cut into words in a few milliseconds.
MAX_SECONDS_AN_ENTRY = 0.005
FREE_SECONDS = 0.1
LOOK_AT_CLOCK_EVERY = 100
LEARNED_AT_MOST = 50_000


class _MovedMeanwhile(Exception):
    """Somebody else moved the cursor, or changed the rules."""


class _Failed(Exception):
    """The rule can't be evaluated; the message is for people."""


@dataclass
class _Outcome:
    """What came of one rule in one step."""

    rule: RunningRule
    state: State
    quiet_state: QuietState
    match_count: int = 0
    suppressed_count: int = 0
    admitted: Sequence[Admitted] = ()
    new_groups: Sequence[str] = ()
    error: str = ""

    @property
    def is_changed(self) -> bool:
        return bool(self.match_count or self.error) or self.state is not self.rule.state or self.quiet_state is not self.rule.quiet_state


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class AlertsFollower:
    """Evaluates the rules of one tenant. For one thread."""

    def __init__(self, tenant_id: uuid.UUID, clock: Callable[[], datetime.datetime] = _now) -> None:
        self.name = f"alerts:{tenant_id}"
        self._tenant_id = tenant_id
        self._clock = clock
        self._loaded: Loaded | None = None

    def step(self) -> bool:
        """`Follower.step`: evaluate the next entries, then have what fired recorded. Raises NotRecorded if that can't be."""
        try:
            has_more = self._evaluate()
        except (_MovedMeanwhile, IntegrityError) as error:
            # Of a rule that was deleted in the same moment there can be no alert any more. What else the database may object to is asked of it
            # again as late as it is with everything.
            logger.info("the alerts of tenant %s are evaluated again: %s", self._tenant_id, error)
            self._loaded, has_more = None, isinstance(error, _MovedMeanwhile)
        except BaseException:
            # What was written is not known.
            self._loaded = None
            raise
        return record_fired(self._tenant_id, self._clock()) or has_more

    def _evaluate(self) -> bool:
        loaded = self._loaded = load(self._tenant_id, self._loaded, self._clock())
        if not loaded.rules:
            return False
        unlearned = next((rule for rule in loaded.rules if rule.has_to_learn), None)
        if unlearned is not None:
            self._learn(loaded, unlearned)
            return True
        after = max(loaded.position, min(rule.progress.begins_at for rule in loaded.rules) - 1)
        chunk = read_chunk(self._tenant_id, after, CHUNK_POSITIONS, self._clock())
        outcomes = [_outcome_of(rule, chunk) for rule in loaded.rules]
        changed = [outcome for outcome in outcomes if outcome.is_changed]
        if chunk.end > loaded.position or changed:
            self._commit(loaded, chunk, changed)
        return chunk.end < chunk.tree_size - 1

    def _learn(self, loaded: Loaded, rule: RunningRule) -> None:
        """Find out what a "first seen" rule knows already. What is stored by the end of it is history."""
        now, condition, progress = self._clock(), rule.condition, rule.progress
        learn_days = condition.learn_days if isinstance(condition, FirstSeen) else 0
        tree_size = tree_size_of(self._tenant_id)
        found = find_matches(self._tenant_id, rule.compiled, now - datetime.timedelta(days=learn_days), now, max_entries=LEARNED_AT_MOST)
        groups = {group for entry in found.entries if (group := entry.group(rule.row.group_by)) is not None}
        with transaction.atomic():
            self._move(loaded, loaded.position)
            progress.is_learned, progress.learned_from, progress.known_count = True, found.since, len(groups)
            progress.begins_at = max(progress.begins_at, tree_size)
            rule.row.known_values.all().delete()
            keep_known(self._tenant_id, rule.row.pk, groups)
            _write([_Outcome(rule, rule.state, rule.quiet_state)])
        loaded.revision += 1

    def _commit(self, loaded: Loaded, chunk: Chunk, outcomes: Sequence[_Outcome]) -> None:
        """Move everything on at once. Raises _MovedMeanwhile, and nothing has moved."""
        now = self._clock()
        in_chunk = {entry.position: entry.id for entry in chunk.entries}
        wanted = {position for outcome in outcomes for admitted in outcome.admitted for position in admitted.firing.positions}
        ids = in_chunk | entry_ids_at(self._tenant_id, wanted - in_chunk.keys())
        position = max(loaded.position, chunk.end)
        with transaction.atomic():
            self._move(loaded, position)
            for outcome in outcomes:
                _note(outcome, now)
                keep_known(self._tenant_id, outcome.rule.row.pk, outcome.new_groups)
            _write(outcomes)
            alerts = [_alert_of(outcome.rule.row, admitted, ids, now) for outcome in outcomes for admitted in outcome.admitted]
            Alert.objects.bulk_create(alerts, batch_size=500)
        loaded.position, loaded.revision = position, loaded.revision + 1
        for outcome in outcomes:
            outcome.rule.state, outcome.rule.quiet_state = outcome.state, outcome.quiet_state
        loaded.rules = [rule for rule in loaded.rules if not rule.progress.error]

    def _move(self, loaded: Loaded, position: int) -> None:
        """Move the cursor, first of all in a transaction. Raises _MovedMeanwhile."""
        cursors = AlertCursor.objects.filter(tenant_id=self._tenant_id, revision=loaded.revision)
        if not cursors.update(position=position, revision=loaded.revision + 1, moved_at=self._clock()):
            raise _MovedMeanwhile("somebody else moved the cursor")
        # Whoever makes a rule, or changes what one counts, holds the cursor's lock: from here on there is no other.
        if versions_of(self._tenant_id) != loaded.versions:
            raise _MovedMeanwhile("the rules have changed")


def _outcome_of(rule: RunningRule, chunk: Chunk) -> _Outcome:
    """What a rule makes of a chunk. Whatever goes wrong with it is its own error."""
    try:
        matches = _matches_of(rule.compiled, chunk.candidates(rule.compiled, rule.progress.begins_at))
        state, firings, new_groups = rule.state, list[Firing](), list[str]()
        if matches and isinstance(rule.condition, FirstSeen):
            state, firings = _taken_first(rule, rule.condition, matches)
            new_groups = [firing.group for firing in firings]
        elif matches:
            state, firings = rule.condition.take(state, matches)
        state, more = rule.condition.tick(state, chunk.until_us)
        firings += more
        quiet_state, admitted = admit(rule.quiet, rule.quiet_state, firings)
    except _Failed as error:
        return _Outcome(rule, rule.state, rule.quiet_state, error=str(error))
    except Exception:
        logger.exception("alert rule %s of tenant %s failed on entries up to position %s", rule.row.pk, rule.row.tenant_id, chunk.end)
        return _Outcome(rule, rule.state, rule.quiet_state, error=f"It failed on an entry up to position {chunk.end}; the server's log says how.")
    return _Outcome(rule, state, quiet_state, len(matches), len(firings) - len(admitted), admitted, new_groups)


def _taken_first(rule: RunningRule, condition: FirstSeen, matches: Sequence[Match]) -> tuple[State, list[Firing]]:
    """As `FirstSeen.take`, with what is known from the table. Raises _Failed for more than a rule may know."""
    known = known_among(rule.row.tenant_id, rule.row.pk, [match.group for match in matches])
    state, firings = condition.take(State(rule.state.clock_us, {group: [] for group in known}), matches)
    if rule.progress.known_count + len(firings) > MAX_KNOWN:
        raise _Failed(f"It knows {MAX_KNOWN} values, and no more can be told apart. Group by fields with fewer values, or narrow the query.")
    return State(state.clock_us), firings


def _matches_of(rule: Compiled, entries: Sequence[ReadEntry]) -> list[Match]:
    """Raises _Failed for a query that takes too long."""
    began_seconds, found, predicate = time.thread_time(), list[ReadEntry](), rule.predicate
    for low in range(0, len(entries), LOOK_AT_CLOCK_EVERY):
        looked_at = entries[low : low + LOOK_AT_CLOCK_EVERY]
        found += [entry for entry in looked_at if predicate(entry.facts)]
        if time.thread_time() - began_seconds > (low + len(looked_at)) * MAX_SECONDS_AN_ENTRY + FREE_SECONDS:
            raise _Failed(f"Its query takes more than {MAX_SECONDS_AN_ENTRY * 1000:.0f} ms an entry. Ask for an action or a user before words.")
    grouped = ((entry, entry.group(rule.group_by)) for entry in found)
    return [Match(entry.position, entry.moment_us, group) for entry, group in grouped if group is not None]


def _note(outcome: _Outcome, now: datetime.datetime) -> None:
    """Have the rule's progress say what came of it."""
    progress = outcome.rule.progress
    progress.match_count += outcome.match_count
    progress.alert_count += len(outcome.admitted)
    progress.suppressed_count += outcome.suppressed_count
    progress.known_count += len(outcome.new_groups)
    if outcome.error:
        progress.error, progress.failed_at = outcome.error, now


def _write(outcomes: Sequence[_Outcome]) -> None:
    rows = [outcome.rule.progress for outcome in outcomes]
    for outcome, row in zip(outcomes, rows, strict=True):
        row.condition_state, row.quiet_state = encoded(outcome.state), encoded(outcome.quiet_state)
    names = [column.name for column in AlertProgress._meta.concrete_fields if not column.primary_key]
    AlertProgress.objects.bulk_create(rows, batch_size=200, update_conflicts=True, unique_fields=["rule"], update_fields=names)


def _alert_of(rule: AlertRule, admitted: Admitted, ids: dict[int, uuid.UUID], now: datetime.datetime) -> Alert:
    firing = admitted.firing
    return Alert(
        tenant_id=rule.tenant_id,
        rule_id=rule.pk,
        rule_name=rule.name,
        severity=rule.severity,
        group=values_of(firing.group, rule.group_by),
        count=firing.count,
        suppressed_count=admitted.suppressed,
        positions=list(firing.positions),
        entry_ids=[ids[position] for position in firing.positions if position in ids],
        occurred_at=moment_of(firing.moment_us),
        fired_at=now,
    )


_followers: dict[uuid.UUID, AlertsFollower] = {}


def followers() -> list[Follower]:
    """One for each tenant that has active rules, or alerts without an entry. What each remembers stays from call to call."""
    wanted = set(AlertRule.objects.filter(is_active=True, tenant__is_active=True).values_list("tenant_id", flat=True))
    wanted |= set(Alert.objects.filter(recorded_at=None).values_list("tenant_id", flat=True))
    for tenant_id in wanted - _followers.keys():
        _followers[tenant_id] = AlertsFollower(tenant_id)
    for tenant_id in _followers.keys() - wanted:
        del _followers[tenant_id]
    return list(_followers.values())
