"""Imports a log of another system through the HTTP API."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from auditlog_verify.inert import inert
from logs.imports.formats import FORMATS, NoEntry
from logs.imports.progress import Done, Progress
from logs.imports.reading import Unreadable, documents, open_stream
from logs.imports.sending import Sender, SendingFailed, Tally

SHOWN_FAILURES = 20


class Command(BaseCommand):
    help = "Imports a log over the HTTP API: streaming, safe to interrupt and to repeat. Exit code 1 if any entry was refused."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="File with a JSON document a line, plain or compressed by gzip or zstd; - reads standard input.")
        parser.add_argument("--format", choices=sorted(FORMATS), required=True)
        parser.add_argument("--url", default=settings.AUDITLOG_URL, help="Address of the service (AUDITLOG_URL). Default: %(default)s")
        parser.add_argument("--api-key", default=settings.AUDITLOG_API_KEY, help="Better set as AUDITLOG_API_KEY: arguments can be seen by others.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["api_key"]:
            raise CommandError("No API key: set AUDITLOG_API_KEY (or AUDITLOG_API_KEY_FILE) to one with the scope logs:write.")
        if options["file"] == "-":
            self._import(sys.stdin.buffer, None, None, options)
            return
        path = Path(options["file"])
        try:
            progress = Progress(settings.AUDITLOG_STATE_DIR / "imports", path, options["url"], options["format"])
            with path.open("rb") as opened:
                self._import(cast("BinaryIO", opened), path.stat().st_size, progress, options)
        except OSError as error:
            raise CommandError(f"{path} can't be read: {error.strerror or error}") from error

    def _import(self, raw: BinaryIO, size_bytes: int | None, progress: Progress | None, options: dict[str, Any]) -> None:
        convert = FORMATS[options["format"]]
        before = progress.load() if progress else Done()
        skipped = before.documents
        tally = Tally(failures=before.failures)
        sender = Sender(options["url"], options["api_key"], tally)
        # Bytes of the file where its size is known, entries otherwise. Silent unless somebody watches.
        bar = tqdm(total=size_bytes, unit="B" if size_bytes else " entries", unit_scale=True, disable=None, file=self.stderr)
        try:
            for number, document in enumerate(documents(open_stream(raw)), start=1):
                if number <= skipped:
                    continue
                if isinstance(document, Unreadable):
                    tally.failures.append(str(document))
                else:
                    try:
                        entry = convert(document)
                    except NoEntry as error:
                        tally.failures.append(f"line {document.line}: {error}")
                    else:
                        # The batch that went out held everything before this document.
                        if sender.add(document.line, entry) and progress:
                            progress.keep(Done(number - 1, tally.failures))
                self._show(bar, raw, size_bytes, tally)
            sender.flush()
            if progress:
                progress.forget()
        except SendingFailed as error:
            raise CommandError(f"{inert(str(error))}\n{self._summary(tally, skipped)} Run the same command again to go on.") from error
        except KeyboardInterrupt:
            raise CommandError(f"Interrupted. {self._summary(tally, skipped)} Run the same command again to go on.", returncode=130) from None
        except (EOFError, OSError, zlib.error, zstandard.ZstdError) as error:
            raise CommandError(f"The input ends in the middle or can't be read: {error}\n{self._summary(tally, skipped)}") from error
        finally:
            bar.close()
            sender.close()
        self.stdout.write(self._summary(tally, skipped))
        if tally.failures:
            more = len(tally.failures) - SHOWN_FAILURES
            shown = tally.failures[:SHOWN_FAILURES] + ([f"... and {more} more"] if more > 0 else [])
            # They quote the input, which may hold what acts on a terminal.
            raise CommandError("\n".join([f"{len(tally.failures)} entries were refused:", *map(inert, shown)]))

    def _show(self, bar: Any, raw: BinaryIO, size_bytes: int | None, tally: Tally) -> None:
        if bar.disable:
            return
        bar.set_postfix(stored=tally.stored, known=tally.replayed, refresh=False)
        bar.update((raw.tell() if size_bytes else tally.done) - bar.n)

    def _summary(self, tally: Tally, skipped: int) -> str:
        before = f", {skipped} skipped that an earlier run had sent" if skipped else ""
        return f"{tally.stored} entries stored, {tally.replayed} were there already, {len(tally.failures)} refused{before}."
