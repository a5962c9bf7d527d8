"""Holds the archive's segments against the log."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from accounts.models import Tenant
from archival.checking import SegmentDiffers, check_segment
from archival.cold.catalogue import SegmentFile, segments_between
from auditlog_verify.inert import inert
from logs.search.windows import HIGHEST, LOWEST
from logs.storage import objects
from logs.storage.reading import tenant_transaction


class Command(BaseCommand):
    help = (
        "Reads every segment that serves back from the archive's storage and holds each entry in it against its record. Changes nothing. Exit code 0: all "
        "of it is what came in. 1: a segment is not, or is missing, and is named. 2: could not be checked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="SLUG", help="Only this tenant's segments. Without it all of them.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            store = objects.open_store(settings.AUDITLOG_ARCHIVE_URL)
            tenants = list(Tenant.objects.filter(slug=options["tenant"]) if options["tenant"] else Tenant.objects.order_by("slug"))
            if not tenants and options["tenant"]:
                raise CommandError(f"There is no tenant {options['tenant']!r}.", returncode=2)
            count = sum(self._check(tenant, store) for tenant in tenants)
        except (*objects.StorageError, ValueError, DatabaseError) as error:
            raise CommandError(inert(str(error)), returncode=2) from error
        if count:
            raise CommandError(f"{count} segment{'s' if count > 1 else ''} not as archived.", returncode=1)

    def _check(self, tenant: Tenant, store: objects.ObjectStore) -> int:
        """Answers how many of the tenant's segments do not pass."""
        with tenant_transaction(tenant.id) as cursor:
            segments = segments_between(cursor, tenant.id, LOWEST, HIGHEST)
        failed = entries = 0
        for segment in sorted(segments, key=lambda one: one.min_id):
            try:
                entries += self._entries(tenant, store, segment)
            except FileNotFoundError:
                failed += 1
                self.stdout.write(f"{tenant.slug}: {segment.path}: it is missing")
            except SegmentDiffers as difference:
                failed += 1
                self.stdout.write(inert(f"{tenant.slug}: {difference}"))
        self.stdout.write(f"{tenant.slug}: {entries} entries in {len(segments) - failed} of {len(segments)} segments are what came in.")
        return failed

    def _entries(self, tenant: Tenant, store: objects.ObjectStore, segment: SegmentFile) -> int:
        # One transaction a segment: none is open for as long as the whole archive takes.
        with tenant_transaction(tenant.id) as cursor:
            return check_segment(cursor, store, segment)
