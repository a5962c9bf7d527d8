"""Brings archived entries back into PostgreSQL for a number of days."""

from __future__ import annotations

import argparse
import datetime
import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.deeds import Actor
from accounts.extensions import record
from accounts.models import Tenant
from accounts.problems import Invalid, NotRecorded
from archival.models.restore import UNDER_WAY, Restore, RestoreState
from archival.restoring import RESTORING, NewRestore, ask_restore, carry_on
from logs.search.values import time_of


def _moment(text: str) -> datetime.datetime:
    try:
        return time_of(text, datetime.datetime.now(datetime.UTC))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class Command(BaseCommand):
    help = (
        "Copies archived entries of one tenant back into the database, where they stay for so many days; then they leave by themselves. Needs the "
        "maintenance role. Safe to interrupt: the worker goes on, or the same command with --continue."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="SLUG", help="Whose.")
        parser.add_argument("--from", dest="from_at", type=_moment, metavar="TIME", help="Timestamps at or after: 2026-01-31, RFC 3339, or -90d.")
        parser.add_argument("--to", dest="until_at", type=_moment, metavar="TIME", help="Timestamps before.")
        parser.add_argument("--query", default="", help="In the query language, to narrow it down.")
        parser.add_argument("--days", type=int, default=7, help="How long they stay.")
        parser.add_argument("--reason", default="", help="Why. Kept with the restore and in the log.")
        parser.add_argument("--continue", dest="id", type=int, metavar="ID", help="Carry on this restore instead.")

    def handle(self, *args: Any, **options: Any) -> None:
        id = self._asked(options) if options["id"] is None else options["id"]
        carry_on(id)
        restore = Restore.objects.filter(pk=id).first()
        if restore is None:
            raise CommandError(f"There is no restore {id}.")
        if restore.state in UNDER_WAY:
            raise CommandError(f"Restore {id} goes on by itself, or with --continue {id}. {restore.error}".strip())
        if restore.state != RestoreState.DONE:
            raise CommandError(f"Restore {id}: {restore.get_state_display()}. {restore.error}".strip())
        self.stdout.write(f"Restore {id}: {restore.entries_restored} entries are back until {restore.kept_until:%Y-%m-%d %H:%M} UTC.")

    def _asked(self, options: dict[str, Any]) -> int:
        missing = [f"--{name}" for name, key in (("tenant", "tenant"), ("from", "from_at"), ("to", "until_at")) if options[key] is None]
        if missing:
            raise CommandError(f"{', '.join(missing)} missing.")
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant {options['tenant']!r}.")
        wanted = NewRestore(options["from_at"], options["until_at"], options["days"], options["reason"], options["query"])
        name = getpass.getuser()
        try:
            restore = ask_restore(Actor(tenant.id, name, f"user:{name}"), wanted, datetime.datetime.now(datetime.UTC))
        except Invalid as problem:
            raise CommandError(" ".join(f"{fault.pointer.strip('/')}: {fault.detail}" for fault in problem.faults)) from None
        told = {"phase": "asked", "asked": wanted.query, "days": wanted.days, "reason": wanted.reason}
        try:
            record(tenant.id, RESTORING, actor=name, resource_id=f"restore-{restore.pk}", metadata=told)
        except NotRecorded as problem:
            restore.delete()
            raise CommandError(problem.detail) from None
        return restore.pk
