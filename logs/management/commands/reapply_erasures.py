"""Destroys again the data keys that were erased and that a restored backup has brought back."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from tqdm import tqdm

from accounts.models import Tenant
from logs.erasure.reapplying import reapply
from logs.storage.objects import StorageError


class Command(BaseCommand):
    help = (
        "Destroys every data key that the ledger of erasures (under AUDITLOG_ANCHOR_URL) names and that is alive in the database: after a restore "
        "of a backup that is older than an erasure. Safe to interrupt and to repeat. Exit code 1: not all of it could be done."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="SLUG", help="Only this tenant's. Without it all of them.")

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = list(Tenant.objects.filter(slug=options["tenant"]) if options["tenant"] else Tenant.objects.order_by("slug"))
        if not tenants and options["tenant"]:
            raise CommandError(f"There is no tenant {options['tenant']!r}.")
        failures = [failure for tenant in tenants if (failure := self._reapply(tenant)) is not None]
        if failures:
            raise CommandError("\n".join(failures))

    def _reapply(self, tenant: Tenant) -> str | None:
        """Why a tenant's erasures could not be reapplied; None if they were."""
        bar = tqdm(desc=tenant.slug, unit=" erased keys", unit_scale=True, disable=None, file=self.stderr)
        named = destroyed = 0
        try:
            for read, found in reapply(tenant.id):
                named, destroyed = named + read, destroyed + found
                bar.update(read)
        except (*StorageError, ValueError, DatabaseError) as error:
            return f"{tenant.slug}: {error}"
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Run the same command again to go on.", returncode=130) from None
        finally:
            bar.close()
        self.stdout.write(f"{tenant.slug}: {named} erased keys in the ledger, {destroyed} of them were alive and are destroyed")
        return None
