"""What a benchmark comes to: its figures, the facts about the machine, the printed table and the JSON file."""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"


class BenchmarkFailed(Exception):
    """The run says nothing: an error was answered, an acknowledged entry is missing, a server did not start."""


@dataclass(frozen=True)
class Target:
    """What a figure or ratio is to reach: at least `least`, or below `below`."""

    least: float | None = None
    below: float | None = None

    def is_met(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.below is None or value < self.below)

    def __str__(self) -> str:
        return f"≥ {self.least:,g}" if self.least is not None else f"< {self.below:,g}"


@dataclass(frozen=True)
class Report:
    """One run. `figures` are the product's, `limits` what it is held against, `ratios` of the one to the other."""

    benchmark: str
    postgresql: str
    params: Mapping[str, Any]
    figures: Mapping[str, Any]
    limits: Mapping[str, float]
    ratios: Mapping[str, float]
    targets: Mapping[str, Target] = field(default_factory=dict)

    def as_json(self, now: datetime.datetime) -> dict[str, Any]:
        """The form that is written to `results/` (docs: "Benchmarks")."""
        return {
            "benchmark": self.benchmark,
            "commit": _commit(),
            "date": now.isoformat(timespec="seconds"),
            "machine": _machine() | {"postgresql": self.postgresql},
            "params": dict(self.params),
            "figures": _rounded(self.figures),
            "limits": _rounded(self.limits),
            "ratios": _rounded(self.ratios),
        }

    def table(self) -> str:
        """One line a figure, limit and ratio, with the target where there is one."""
        lines = [f"{self.benchmark}: " + ", ".join(f"{name} {value}" for name, value in self.params.items()), ""]
        for title, group in (("figures", self.figures), ("limits", self.limits), ("ratios", self.ratios)):
            lines.append(title)
            for name, value in _flat(group):
                target = self.targets.get(name)
                verdict = "" if target is None else f"   {target}: {'met' if target.is_met(value) else 'MISSED'}"
                lines.append(f"  {name:<38}{_shown(value):>12}{verdict}")
        return "\n".join(lines)


def write_json(report: Report, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report.as_json(datetime.datetime.now(datetime.UTC)), indent=1) + "\n")


def progress(number: int, rates: Mapping[str, float]) -> None:
    """Tell whoever waits what round `number` (from 0) came to, in entries a second."""
    shown = ", ".join(f"{name} {rate:,.0f}/s" for name, rate in rates.items())
    print(f"round {number + 1}: {shown}", file=sys.stderr, flush=True)


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """The least of the ascending values that `fraction` of them do not exceed (nearest rank). Raises ValueError for none."""
    if not ordered:
        raise ValueError("no values, no percentile")
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


def _flat(group: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Names and values; those of an inner mapping go by `outer.inner`."""
    found: list[tuple[str, float]] = []
    for name, value in group.items():
        found += _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(prefix + name, value)]
    return found


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def _rounded(group: Mapping[str, Any]) -> dict[str, Any]:
    """To what the measurement is good for: noise below that only makes differences between files."""
    return {
        name: _rounded(value) if isinstance(value, Mapping) else round(value, 1 if abs(value) >= 100 else 3) if isinstance(value, float) else value
        for name, value in group.items()
    }


def _machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cores": os.cpu_count() or 1, "memory_gib": round(memory / 2**30), "python": platform.python_version()}


def _commit() -> str:
    """The checkout's commit; `-dirty` is appended if what was measured is not what was committed."""
    try:
        commit = _git("rev-parse", "HEAD").strip()
        is_dirty = bool(_git("status", "--porcelain", "--", ".", ":!benchmarks/results"))
    except (OSError, subprocess.CalledProcessError):
        # An archive without git, or a checkout without a commit.
        return "unknown"
    return commit + ("-dirty" if is_dirty else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
