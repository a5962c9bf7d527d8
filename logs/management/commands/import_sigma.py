"""Makes alert rules of Sigma rules in files and folders."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.deeds import Deed
from accounts.extensions import record
from accounts.models import Tenant
from accounts.problems import Invalid, Problem
from auditlog_verify.inert import inert
from logs.alerts.definition import MAX_SIGMA_CHARACTERS
from logs.alerts.sigma import ImportedRule, keep_rules, read_rules
from logs.alerts.sigma.fields import Fields

IMPORT = Deed("IMPORT", "audit_log_alert_rule")
MADE_BY = "command:import_sigma"
SUFFIXES = (".yml", ".yaml")


class Command(BaseCommand):
    help = (
        "Reads Sigma rules and shows the alert rules that they stand for, and what of them does not fit; with --save those of each file that fits as a "
        "whole are kept. Each import is an entry of the tenant's log."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", metavar="FILE", help="A file, or a folder whose .yml and .yaml files are read, however deep.")
        parser.add_argument("--tenant", metavar="SLUG", required=True)
        parser.add_argument("--save", action="store_true", help="Keep the rules. Otherwise they are only shown.")
        parser.add_argument("--inactive", action="store_true", help="Keep them switched off.")
        parser.add_argument("--fields", metavar="FILE", help='JSON: which fields of entries fields of rules are, {"TargetUser": "metadata.target"}.')

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant {options['tenant']!r}.")
        fields = _fields_in(options["fields"])
        fitting = unfit = kept = found = 0
        for path in _files(options["paths"]):
            try:
                rules = read_rules(_text_of(path), fields, datetime.datetime.now(datetime.UTC))
                kept += self._keep(tenant, rules, path, is_active=not options["inactive"]) if options["save"] else 0
            except Invalid as error:
                unfit += 1
                self._say(f"{path}: does not fit")
                for fault in error.faults:
                    self._say(f"    {fault.pointer.removeprefix('/sigma/')}: {fault.detail}")
                continue
            except (OSError, ValueError) as error:
                unfit += 1
                self._say(f"{path}: can't be read: {error}")
                continue
            except Problem as problem:
                raise CommandError(f"{path}: {problem.detail} What was kept before it stays.") from problem
            fitting += 1
            found += len(rules)
            for one in rules:
                self._say(f"{path}: {one.new.name}\n    {one.new.severity} {one.new.query}")
        outcome = f"{kept} rules kept" if options["save"] else f"{found} rules, none kept: --save keeps them"
        self.stdout.write(f"{fitting + unfit} files: {fitting} fit, {unfit} do not. {outcome}.")

    def _keep(self, tenant: Tenant, rules: list[ImportedRule], path: Path, *, is_active: bool) -> int:
        # The entry is on disk before the rules are; without it they are not kept.
        with transaction.atomic():
            rows = keep_rules(tenant.id, MADE_BY, rules, is_active=is_active, now=datetime.datetime.now(datetime.UTC))
            told = {"principal": MADE_BY, "file": path.name, "rules": [row.name for row in rows], "ids": [row.pk for row in rows], "saved": True}
            record(tenant.id, IMPORT, actor="operator", metadata=told)
        return len(rows)

    def _say(self, text: str) -> None:
        # Rules come from elsewhere: nothing in them moves the cursor of a terminal.
        self.stdout.write("\n".join(inert(line) for line in text.split("\n")))


def _files(paths: list[str]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
        elif path.is_file():
            yield path
        else:
            raise CommandError(f"{path}: No such file or folder.")


def _text_of(path: Path) -> str:
    """Raises OSError or ValueError."""
    with path.open(encoding="utf-8") as file:
        # One more than is read, which is refused then.
        return file.read(MAX_SIGMA_CHARACTERS + 1)


def _fields_in(path: str | None) -> Mapping[str, str]:
    if path is None:
        return {}
    try:
        found = msgspec.convert(json.loads(Path(path).read_bytes()), dict[str, str])
        Fields(found)
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: {error}") from error
    except Invalid as error:
        raise CommandError(f"{path}: {' '.join(fault.detail for fault in error.faults)}") from error
    return found
