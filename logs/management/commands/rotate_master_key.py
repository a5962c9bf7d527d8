"""Wraps every data key anew with the first master key."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from tqdm import tqdm

from logs.privacy.encryption.master_keys import MAKE_ONE, master_keys
from logs.privacy.encryption.rotation import BATCH_KEYS, live_keys, rewrap


class Command(BaseCommand):
    help = (
        "Wraps every live data key with the first key of AUDITLOG_MASTER_KEY; entries are not touched. Safe to interrupt and to repeat. Before: put the new "
        "key first, the old one behind it, and restart web processes and workers. Exit code 1 if keys are left that older master keys wrap."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch", type=int, default=BATCH_KEYS, metavar="KEYS", help="Keys of one transaction. Default: %(default)s")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["batch"] < 1:
            raise CommandError("--batch has to be at least 1.")
        try:
            masters = master_keys()
        except ImproperlyConfigured as error:
            raise CommandError(f"{error} {MAKE_ONE}") from error
        rewrapped = unreadable = 0
        # The role that owns the table: the application may neither change a key nor remove one.
        with connections["maintenance"].cursor() as database:
            old = {id: count for id, count in live_keys(database).items() if id != masters.current_id}
            bar = tqdm(total=sum(old.values()), unit=" keys", disable=None, file=self.stderr)
            try:
                for done, lost in rewrap(database, masters, options["batch"]):
                    rewrapped += done
                    unreadable += lost
                    bar.update(done + lost)
            except KeyboardInterrupt:
                raise CommandError(f"Interrupted; {rewrapped} data keys were wrapped anew. Run the command again to go on.", returncode=130) from None
            finally:
                bar.close()
            found = live_keys(database)
        self.stdout.write(f"{rewrapped} data keys were wrapped anew; the master key {masters.current_id} wraps {found.pop(masters.current_id, 0)} now.")
        if found:
            left = ", ".join(f"{count} by {id}" for id, count in found.items())
            reason = (
                f"{unreadable} of them do not unwrap: put their master keys behind the first one in AUDITLOG_MASTER_KEY."
                if unreadable
                else "They were made in the meantime: restart what still has the old key first, and run the command again."
            )
            raise CommandError(f"Older master keys wrap data keys still: {left}. {reason}")
        self.stdout.write(
            "No live data key needs an older master key. Take it out of AUDITLOG_MASTER_KEY, restart, and destroy it once no backup from before "
            "has to be readable: data keys in such backups, those of erased subjects too, are unreadable from then on."
        )
