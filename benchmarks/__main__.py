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
    "verify": "positions at a steady 2,000 entries a second, and a verification of the log, against reading its rows",
    "export": "a million entries as NDJSON over one connection, and what the web processes grow by it, against COPY of the same columns",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 for a run that says something, whatever it says; 1 for one that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True)
    for name, text in BENCHMARKS.items():
        command = names.add_parser(name, help=text, description=text)
        command.add_argument("--quick", action="store_true", help="at most 45 seconds in all, and no file but that of --output")
        command.add_argument("--output", type=Path, metavar="FILE", help=f"where the JSON goes (default: benchmarks/results/{name}.json)")
    options = parser.parse_args(arguments)
    raise_stop()
    try:
        report: Report = importlib.import_module(f"benchmarks.{options.name}").run(is_quick=options.quick)
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
