"""Verifies that tenants' logs are what was signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from tqdm import tqdm

from accounts.models import Tenant
from accounts.problems import NotRecorded
from auditlog_verify.inert import inert
from logs.erasure.reapplying import alive, unnamed
from logs.integrity.keys import public_keys
from logs.models import VerificationRun
from logs.storage.objects import StorageError
from logs.storage.reading import tenant_transaction
from logs.verification.runs import findings_of, interrupted_run, verify

SHOWN_FINDINGS = 100


class Command(BaseCommand):
    help = (
        "Verifies logs: rows against records, records against tiles, tiles against signed checkpoints, and those against their copies outside of the "
        "database. Exit code 0: all is what was signed. 1: something is not, and is named. 2: could not be verified."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="SLUG", help="Only this tenant's log. Without it all of them.")
        parser.add_argument("--from", dest="low", type=int, metavar="POSITION", help="From this position on.")
        parser.add_argument("--to", dest="high", type=int, metavar="POSITION", help="Up to this position, which is not included.")
        parser.add_argument("--checkpoint", metavar="FILE", action="append", default=[], help="A signed checkpoint that you kept, to hold the log against.")
        parser.add_argument("--resume", action="store_true", help="Go on with the newest run if it was interrupted.")

    def handle(self, *args: Any, **options: Any) -> None:
        has_range = options["low"] is not None or options["high"] is not None
        if (has_range or options["checkpoint"]) and not options["tenant"]:
            raise CommandError("A range or a checkpoint belongs to one log: name it by --tenant.", returncode=2)
        if options["resume"] and has_range:
            raise CommandError("--resume goes on with the range of the interrupted run; leave --from and --to out.", returncode=2)
        try:
            if not public_keys():
                raise CommandError("No key is trusted: set AUDITLOG_VERIFIER_KEYS (or AUDITLOG_SIGNING_KEY_FILE).", returncode=2)
            extra = {name: Path(name).read_text() for name in options["checkpoint"]}
            tenants = list(Tenant.objects.filter(slug=options["tenant"]) if options["tenant"] else Tenant.objects.order_by("slug"))
        except (ImproperlyConfigured, DatabaseError) as error:
            raise CommandError(str(error), returncode=2) from error
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The checkpoint can't be read: {error}", returncode=2) from error
        if not tenants and options["tenant"]:
            raise CommandError(f"There is no tenant {options['tenant']!r}.", returncode=2)
        count = sum(self._verify(tenant, options, extra) for tenant in tenants)
        for tenant in tenants:
            self._warn_of_erasures(tenant)
        if count:
            raise CommandError(f"{count} finding{'s' if count > 1 else ''}: the log is not what was signed.", returncode=1)

    def _verify(self, tenant: Tenant, options: dict[str, Any], extra: dict[str, str]) -> int:
        bar = tqdm(desc=tenant.slug, unit=" entries", unit_scale=True, disable=None, file=self.stderr)

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        try:
            run = verify(
                tenant,
                started_by="command",
                low=options["low"] or 0,
                high=options["high"],
                extra=extra,
                run=interrupted_run(tenant) if options["resume"] else None,
                progress=show,
            )
        except (ValueError, DatabaseError, NotRecorded) as error:
            raise CommandError(f"{tenant.slug}: {error}", returncode=2) from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Go on: the same command with --resume, after two minutes.", returncode=130) from None
        finally:
            bar.close()
        self._report(tenant, run)
        return len(run.findings)

    def _warn_of_erasures(self, tenant: Tenant) -> None:
        """What stands in the database against the ledger of erasures. No finding: the log itself is what was signed."""
        try:
            keys = alive(tenant.id)
            with tenant_transaction(tenant.id) as cursor:
                unnamed_count = unnamed(cursor, tenant.id)
        except (*StorageError, ValueError, DatabaseError) as error:
            self.stderr.write(f"{tenant.slug}: warning: the ledger of erasures can't be read: {error}")
            return
        if keys:
            self.stderr.write(f"{tenant.slug}: warning: {len(keys)} erased data keys are alive, as after a restore. Run manage.py reapply_erasures.")
        if unnamed_count:
            self.stderr.write(f"{tenant.slug}: warning: {unnamed_count} data keys were destroyed that the ledger of erasures does not name.")

    def _report(self, tenant: Tenant, run: VerificationRun) -> None:
        rate = run.verified_count / max(run.duration.total_seconds(), 0.001)
        summary = f"{tenant.slug}: {run.verified_count:,} entries verified (positions {run.low} to {run.high}) in {run.duration.total_seconds():.1f} s"
        if not run.findings:
            self.stdout.write(f"{summary}, {rate:,.0f}/s: clean")
            return
        self.stdout.write(f"{summary}: {len(run.findings)} findings")
        for finding in findings_of(run)[:SHOWN_FINDINGS]:
            # Somebody who could change rows chose what they hold: nothing of it may act on the terminal.
            self.stdout.write(f"  {inert(str(finding))}")
        if len(run.findings) > SHOWN_FINDINGS:
            self.stdout.write(f"  ... and {len(run.findings) - SHOWN_FINDINGS} more, in the admin")
