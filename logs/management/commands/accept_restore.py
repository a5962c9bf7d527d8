"""Accepts that a log is older than the copies of its checkpoints, because its database was restored from a backup."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import msgspec
import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Tenant
from accounts.models.api_key import Scope
from accounts.principals import Principal
from logs.catalogue import TenantCatalogue
from logs.ingest import Submission
from logs.ingest.check import Checker, Reception
from logs.ingest.process import writer
from logs.integrity.anchor import Anchor
from logs.integrity.keys import private_keys
from logs.models import CatalogueMode
from logs.privacy import protection_of
from logs.sequencer.rounds import Rounds
from logs.sequencer.trust import AcceptedRestore, RestoreRefused
from logs.storage import connecting

COMMIT_SECONDS = 60


class Command(BaseCommand):
    help = (
        "Lets a log go on after its database was restored from a backup that is older than the newest copy of its checkpoint. The log gets a new "
        "name, for the entries after the backup are gone and others will take their positions. The act and its reason become an entry of the log."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", metavar="SLUG")
        parser.add_argument("--reason", required=True, help="Why, for those who read the log later.")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant {options['tenant']!r}.")
        if not options["reason"].strip():
            raise CommandError("The reason is empty.")
        try:
            with connecting.connect("sequencer") as connection:
                rounds = Rounds(connection, private_keys(), Anchor, clock=lambda: datetime.datetime.now(datetime.UTC))
                accepted = rounds.accept_restore(tenant.id)
        except (RestoreRefused, ImproperlyConfigured, psycopg.Error) as error:
            raise CommandError(str(error)) from error
        self._record(tenant, accepted, options["reason"].strip())
        self.stdout.write(
            f"{tenant.slug}: the log goes on as {accepted.new_origin} from {accepted.tree_size:,} entries. {accepted.old_origin} was signed up to "
            f"{accepted.lost_size:,}: what was acknowledged after the backup is lost, and clients have to post it again."
        )

    def _record(self, tenant: Tenant, accepted: AcceptedRestore, reason: str) -> None:
        principal = Principal(tenant.id, tenant.slug, "command:accept_restore", frozenset(Scope.values))
        # Whatever the tenant's catalogue says of actions: this one is ours.
        catalogue = TenantCatalogue(mode=CatalogueMode.OFF, actions={}, id_secret=uuid.uuid4().bytes)
        reception = Reception(principal, datetime.datetime.now(datetime.UTC), catalogue, protection_of(tenant.id))
        entry = {
            "user_id": "operator",
            "action": "LOG.RESTORE_ACCEPTED",
            "resource_type": "audit_log",
            "resource_id": accepted.new_origin,
            "severity": "CRITICAL",
            "message": reason,
            "metadata": {"old_origin": accepted.old_origin, "old_tree_size": accepted.lost_size, "tree_size": accepted.tree_size},
        }
        submission = Submission([Checker(reception).check(msgspec.json.encode(entry))])
        writer().submit(submission)
        if not submission.wait(COMMIT_SECONDS) or submission.error is not None:
            raise CommandError(f"The restore of {tenant.slug} is accepted, but the entry about it could not be stored: {submission.error or 'no answer'}")
