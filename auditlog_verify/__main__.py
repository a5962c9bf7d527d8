"""`python -m auditlog_verify BUNDLE`: checks an evidence bundle and explains what was checked. Needs no server.

Exit code 0: everything is proven. 1: something is not. 2: the file or an argument can't be read.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from auditlog_verify.bundle import BundleError, Verdict, check_bundle
from auditlog_verify.inert import inert
from auditlog_verify.notes import NoteError, VerifierKey


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the bundle that the arguments name, and print what was found. Answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m auditlog_verify", description="Checks an evidence bundle of an audit log, without its server.")
    parser.add_argument("bundle", help="the bundle, a file")
    parser.add_argument(
        "--key",
        action="append",
        metavar="KEY",
        help="a verifier key that you trust (name+id+base64, as GET /api/v1/integrity/key gives it), or a file with such keys, one a line",
    )
    parser.add_argument("--tenant", metavar="ID", help="the tenant whose log it has to be")
    options = parser.parse_args(arguments)
    try:
        keys = [key for text in options.key for key in _keys(text)] if options.key else None
        with Path(options.bundle).open("rb") as file:
            verdict = check_bundle(file, keys, tenant=options.tenant)
    except (OSError, UnicodeDecodeError) as error:
        print(f"CAN'T BE READ: {inert(str(error))}", file=sys.stderr)
        return 2
    except (BundleError, NoteError) as error:
        print(f"CAN'T BE CHECKED: {inert(str(error))}", file=sys.stderr)
        return 2
    for line in explain(verdict, keys_are_given=keys is not None):
        # A bundle may come from anybody.
        print(inert(line))
    return 0 if verdict.is_valid else 1


def explain(verdict: Verdict, *, keys_are_given: bool) -> Iterator[str]:
    """What was checked, in words, line by line."""
    header = verdict.header
    yield f"Bundle    made {header.made_at:%Y-%m-%d %H:%M:%S} UTC for the tenant {header.tenant}"
    yield f"Question  {header.question or 'every entry'}"
    if verdict.checkpoint is not None:
        head = verdict.checkpoint.checkpoint
        yield f"Log       {head.origin}, {head.tree_size:,} entries, root hash {base64.b64encode(head.root_hash).decode()}"
        for signed in verdict.checkpoint.signed:
            when = f" at {datetime.datetime.fromtimestamp(signed.time_seconds, datetime.UTC):%Y-%m-%d %H:%M:%S} UTC" if signed.time_seconds else ""
            yield f"Signed    by {signed.key.name}, key {base64.b64encode(signed.key.public_key).decode()}{when}"
        if not keys_are_given:
            yield "          The key was taken from the bundle itself. Compare it with the one that you got another way, or name that by --key."
    yield f"Entries   {verdict.proven_count:,} proven: the hash of each leads along its path to the signed root hash"
    if verdict.has_no_gap:
        yield f"          They are all that the log has from position {verdict.first} to {verdict.last}."
    elif verdict.first is not None:
        yield f"          Between the positions {verdict.first} and {verdict.last} the log has others, which are not in the bundle."
    if verdict.footer is not None and verdict.footer.waiting:
        yield f"          {verdict.footer.waiting:,} more had no position yet when the bundle was made, and are not in it."
    if verdict.footer is not None and verdict.footer.has_more:
        yield "          The bundle's limit left out others that the question found."
    for fault in verdict.faults:
        yield f"Wrong     {fault}"
    yield "VALID" if verdict.is_valid else "NOT VALID"


def _keys(text: str) -> Iterator[VerifierKey]:
    """The key in an argument, or those in the file that it names."""
    lines = [text] if "+" in text and not Path(text).is_file() else Path(text).read_text().splitlines()
    for line in lines:
        if line.strip():
            yield VerifierKey.decode(line)


if __name__ == "__main__":
    sys.exit(main())
