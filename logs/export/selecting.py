"""The SQL of an export: PostgreSQL itself writes each entry as the API gives it.

Built in Python from columns, an entry takes 10 µs of the web process, in which nothing else runs there; built in SQL it takes 2, and Python
only passes it on (docs/decisions/0016). A test holds each line to what search answers for the same entry.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from logs.catalogue import TenantCatalogue
from logs.export.asking import ExportQuestion
from logs.privacy.encryption.opening import hidden_text_sql, hidden_value_sql
from logs.search.sql import Condition, condition_by_index_of
from logs.search.tree import All
from logs.storage.columns import as_text
from logs.storage.table import TABLE_COLUMNS

_REQUIRED = ("user_id", "action", "resource_type")
_OPTIONAL = ("resource_id", "session_id", "request_id")
_OPTIONAL_LAST = ("user_agent", "message", "idempotency_key")
_JSON = ("metadata", "before", "after")
# A batch keeps its records uncompressed (storage EXTERNAL), so a slice of them is read, not the whole.
_INTEGRITY = """(
    SELECT concat(',"integrity":{"position":', b.first_position + e.batch_index, ',"leaf_hash":"',
                  encode(sha256('\\x00'::bytea || substr(b.records, 32 * e.batch_index + 1, 32)), 'base64'), '"}')
    FROM auditlog.logs_batch_view AS b WHERE b.id = e.batch_id AND b.first_position IS NOT NULL)"""
_POSITION = "(SELECT b.first_position + e.batch_index FROM auditlog.logs_batch_view AS b WHERE b.id = e.batch_id)"


def _line(*, may_decrypt: bool) -> str:
    """An entry as `search.output.EntryOutput`, without its title: JSON text. Absent fields are NULL, and `concat` leaves NULLs out.

    What is encrypted is hidden by PostgreSQL, or left as it is for `export.opening`.
    """
    moments = [f"""'"{name}":"', {as_text(name)}, '",'""" for name in ("timestamp", "received_at")]
    required = [f"""'"{name}":', to_json({name}), ','""" for name in _REQUIRED]
    labels = [f"""'"{name}":"', {TABLE_COLUMNS[name].as_string()}, '",'""" for name in ("severity", "outcome")]
    optional = [f"""',"{name}":' || to_json({name})::text""" for name in _OPTIONAL]
    optional_last = [f"""',"{name}":' || to_json({name if may_decrypt else _hidden(name)})::text""" for name in _OPTIONAL_LAST]
    json = [f"""',"{name}":' || {as_text(name) if may_decrypt else _hidden(name)}""" for name in _JSON]
    parts = [
        """'{"id":"', id, '",'""",
        *moments,
        *required,
        *labels,
        """'"source":', to_json(source)""",
        *optional,
        f"""',"ip_address":"' || {as_text("ip_address")} || '"'""",
        *optional_last,
        """CASE WHEN is_imported THEN ',"is_imported":true' END""",
        """',"changed_fields":' || array_to_json(changed_fields)::text""",
        """',"masked":' || array_to_json(masked)::text""",
        *json,
        _INTEGRITY,
        "'}'",
    ]
    return "concat(" + ", ".join(parts) + ")"


def _hidden(name: str) -> str:
    """The SQL of a column as whoever may not decrypt sees it."""
    if name in ("message", "user_agent"):
        return hidden_text_sql(name)
    return hidden_value_sql(name) if name in _JSON else as_text(name)


LINES = {may_decrypt: sql.SQL(_line(may_decrypt=may_decrypt)) for may_decrypt in (False, True)}
_HIDDEN_COLUMNS = {name: sql.SQL(_hidden(name)) for name in ("message", "user_agent", *_JSON)}
# What a title is made of, for entries whose action has a template: user, action, resource type and id, metadata.
TITLE_COLUMNS = [sql.SQL(name) for name in ("user_id", "action", "resource_type", "resource_id", "metadata::text")]
COLUMNS = {
    True: [*TABLE_COLUMNS.values(), sql.SQL(_POSITION)],
    False: [*(TABLE_COLUMNS | _HIDDEN_COLUMNS).values(), sql.SQL(_POSITION)],
}


@dataclass(frozen=True)
class Selection:
    """What is read for an export: `columns` of the tenant's entries that `tree` finds, in order of time, the first `limit`."""

    tenant_id: uuid.UUID
    tree: All
    columns: Sequence[sql.Composable]
    is_ascending: bool
    limit: int | None

    def statement(self, *before: sql.Composable) -> Condition:
        """The query of those in PostgreSQL; with other columns `before`."""
        # The planner may ask the index of words, where that says something, or read in order; all matches are wanted in any case.
        condition = condition_by_index_of(self.tree, self.tenant_id)
        text = sql.SQL("SELECT ") + sql.SQL(", ").join([*before, *self.columns]) + sql.SQL(" FROM auditlog.logs_entry_view AS e WHERE ") + condition.text
        text += sql.SQL(" ORDER BY e.id ") + sql.SQL("ASC" if self.is_ascending else "DESC")
        if self.limit is not None:
            text += sql.SQL(" LIMIT ") + sql.Literal(self.limit)
        return Condition(text, condition.parameters)


def select_lines(question: ExportQuestion, catalogue: TenantCatalogue) -> Selection:
    """One column: the entry's JSON text. Where the tenant describes how actions read, the parts of a title beside it."""
    return _select([LINES[question.principal.may_decrypt], *(TITLE_COLUMNS if catalogue.has_titles else [])], question)


def select_columns(question: ExportQuestion) -> Selection:
    """The columns of `storage.table`."""
    return _select(COLUMNS[question.principal.may_decrypt], question)


def _select(columns: Sequence[sql.Composable], question: ExportQuestion) -> Selection:
    return Selection(question.principal.tenant_id, question.tree, columns, question.order == "asc", question.limit)
