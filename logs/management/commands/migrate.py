"""Django's `migrate`, under the maintenance role."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import connections
from psycopg import sql


class Command(DjangoMigrate):
    """Tables belong to the maintenance role; the application's role gets what it needs of Django's own (schema `public`)
    and, by name, of the log's (schema `auditlog`, in the migrations)."""

    help = DjangoMigrate.help + " Runs under the maintenance role (MAINTENANCE_DATABASE_URL)."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database="maintenance")

    def handle(self, *args: Any, **options: Any) -> Any:
        if options["database"] == "maintenance" and not options["plan"] and not options["check_unapplied"]:
            grant_public_tables()
        return super().handle(*args, **options)


def grant_public_tables() -> None:
    """Let the application's role use Django's tables, those that are there and those that are to come."""
    application, maintenance = settings.DATABASES["default"]["USER"], settings.DATABASES["maintenance"]["USER"]
    if application == maintenance or not application:
        return
    role = sql.Identifier(application)
    statements = [
        sql.SQL("GRANT USAGE ON SCHEMA public TO {}"),
        sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}"),
        sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}"),
        sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {}"),
        sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO {}"),
    ]
    with connections["maintenance"].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.format(role))
