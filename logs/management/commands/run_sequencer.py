"""Runs the sequencer in the foreground."""

from __future__ import annotations

import signal
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from logs.integrity import keys
from logs.sequencer import Sequencer
from logs.sequencer.flushing import Flusher
from logs.sequencer.publishing import Publisher


class Command(BaseCommand):
    help = (
        "Gives committed entries their positions in their tenant's log and signs its checkpoints, until asked to stop. "
        "Any number may run: one leads, another takes over within seconds when it dies."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--group", type=int, action="append", metavar="N", help="Lead this group of tenants only (AUDITLOG_SEQUENCER_GROUPS); may be repeated."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        groups = options["group"] or list(range(settings.AUDITLOG_SEQUENCER_GROUPS))
        wrong = [group for group in groups if not 0 <= group < settings.AUDITLOG_SEQUENCER_GROUPS]
        if wrong:
            raise CommandError(f"There is no group {wrong[0]}: AUDITLOG_SEQUENCER_GROUPS is {settings.AUDITLOG_SEQUENCER_GROUPS}.")
        flusher = Flusher()
        try:
            sequencer = Sequencer(keys.private_keys(), groups, when_grown=flusher.wake)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        publisher = Publisher()

        def stop(number: int, frame: object) -> None:
            sequencer.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        publisher.start()
        flusher.start()
        try:
            sequencer.run()
        finally:
            publisher.stop()
            flusher.stop()
