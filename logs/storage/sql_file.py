"""The one operation that runs our SQL files, `sql/NNNN_name.forward.sql` and `.reverse.sql`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.migrations.operations.base import Operation
from psycopg import sql

FOLDER = Path(__file__).parent.parent / "migrations" / "sql"


class RunSQLFile(Operation):
    """Runs `sql/<name>.forward.sql`; backwards `sql/<name>.reverse.sql`. `{app_role}` and `{sequencer_role}` stand for those roles."""

    reversible = True

    def __init__(self, name: str) -> None:
        self.name = name

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing that Django's models know of changes."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._run(schema_editor, "forward")

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._run(schema_editor, "reverse")

    def _run(self, schema_editor: Any, direction: str) -> None:
        text = (FOLDER / f"{self.name}.{direction}.sql").read_text()
        connection = schema_editor.connection
        for placeholder, alias in (("{app_role}", "default"), ("{sequencer_role}", "sequencer")):
            role = settings.DATABASES[alias]["USER"] or connection.settings_dict["USER"]
            text = text.replace(placeholder, sql.Identifier(role).as_string(connection.connection))
        with connection.cursor() as cursor:
            cursor.execute(text)

    def describe(self) -> str:
        return f"Runs {self.name}.forward.sql"
