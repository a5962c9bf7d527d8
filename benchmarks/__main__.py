"""The command line: `python -m benchmarks NAME [--quick] [--output FILE]`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from auditlog_project.embedded import SetupError
from auditlog_project.embedded.signals import Stop, raise_stop
from benchmarks.report import RESULTS, BenchmarkFailed, Report, write_json

BENCHMARKS = {
    "single": "one entry a request on 64 connections, against bare INSERTs and a stock Django REST framework view",
    "bulk": "batches of 1,000 on 4 connections, against raw COPY",
    "search": "a page of every class of question over 10 million entries, while 1,000 a second are written (`--entries N` for another size)",
    "stats": "statistics and facets over 90 days of 10 million entries, for the first time and again, against adding up hourly counts",
    "verify": "positions at a steady 2,000 entries a second, and a verification of the log, against reading its rows",
    "stream": "200 WebSocket clients with different questions at 1,000 entries a second, beside 20 that never read",
    "alerts": "one evaluator through 1 to 1,000 rules of a tenant, against reading the entries alone",
    "archive": "entries written to segments, what they take there, and questions over 10 million archived entries of a year",
    "export": "a million entries as NDJSON over one connection, and what the web processes grow by it, against COPY of the same columns",
}

# Those that take --entries.
SIZED = {"search"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 for a run that says something, whatever it says; 1 for one that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True)
    for name, text in BENCHMARKS.items():
        command = names.add_parser(name, help=text, description=text)
        command.add_argument("--quick", action="store_true", help="at most 45 seconds in all, and no file but that of --output")
        if name in SIZED:
            command.add_argument("--entries", type=int, metavar="N", help="how many entries the log has")
        command.add_argument("--output", type=Path, metavar="FILE", help=f"where the JSON goes (default: benchmarks/results/{name}.json)")
    options = parser.parse_args(arguments)
    raise_stop()
    try:
        sized = {"entries": options.entries} if options.name in SIZED else {}
        report: Report = importlib.import_module(f"benchmarks.{options.name}").run(is_quick=options.quick, **sized)
    except (BenchmarkFailed, SetupError) as error:
        print("\n".join([f"benchmark failed: {error}", *getattr(error, "__notes__", [])]), file=sys.stderr)
        return 1
    except Stop as stop:
        return 128 + stop.number
    print(report.table())
    output = options.output or (None if options.quick else RESULTS / f"{options.name}.json")
    if output is not None:
        write_json(report, output)
        print(f"\nwritten to {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
