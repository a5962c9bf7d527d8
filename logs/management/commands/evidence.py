"""Writes an evidence bundle: chosen entries with their proofs, in one file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.http import QueryDict

from accounts.extensions import record
from accounts.models import Ability, Tenant
from accounts.models.api_key import Scope
from accounts.principals import Principal
from accounts.problems import Problem
from logs.evidence import DEFAULT_LIMIT, CountedLines, evidence_question_of, write_evidence
from logs.export.running import EXPORT


class Command(BaseCommand):
    help = "Writes an evidence bundle. Anybody checks it with: python -m auditlog_verify FILE --key KEY"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("output", help="File to write, which must not exist; - writes to standard output.")
        parser.add_argument("--tenant", metavar="SLUG", required=True)
        parser.add_argument("--query", default="", help="Filters as in the API's query string: user_id=alice&from=2026-01-01T00:00:00Z")
        parser.add_argument("--limit", type=int, default=DEFAULT_LIMIT, help="At most so many entries, the newest first. Default: %(default)s")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant {options['tenant']!r}.")
        query = QueryDict(options["query"], mutable=True)
        query["limit"] = str(options["limit"])
        principal = Principal(tenant.id, tenant.slug, "command:evidence", frozenset({Scope.READ}), frozenset(Ability.values))
        try:
            # Whoever can run this has the database itself.
            lines = CountedLines(write_evidence(evidence_question_of(query, principal), lambda: True))
            told = {"format": "evidence", "query": options["query"], "limit": options["limit"], "principal": principal.source}
            record(tenant.id, EXPORT, actor="operator", metadata=told | {"phase": "begun"})
            if options["output"] == "-":
                for line in lines:
                    sys.stdout.buffer.write(line)
            else:
                with Path(options["output"]).open("xb") as file:
                    file.writelines(lines)
            record(tenant.id, EXPORT, actor="operator", metadata=told | {"phase": "ended", "results": lines.entries})
        except Problem as problem:
            raise CommandError(" ".join([problem.detail, *(fault.detail for fault in problem.faults if fault.detail != problem.detail)])) from problem
        except OSError as error:
            raise CommandError(f"{options['output']} can't be written: {error.strerror or error}") from error
        except DatabaseError as error:
            raise CommandError(f"The database failed, and the bundle is not whole: {error}") from error
        if options["output"] == "-":
            return
        self.stdout.write(f"{options['output']} is written. Check it: python -m auditlog_verify {options['output']}")
