"""The page of a subject report: every entry to read, grouped by day, with no script and nothing fetched from anywhere. Pure.

Everything of an entry is escaped, and characters that a reader can't see, or that turn the direction of text, are written out: what stands on
the page is what is in the log.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

# Control characters but tab and line feed, and what Unicode calls bidirectional controls (UAX #9) and invisible operators.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
# So many different actions are counted apart.
MAX_ACTIONS = 200
_OTHER_ACTIONS = "(other actions)"
_decode = msgspec.json.decode
_STYLE = (
    "body{font:14px/1.4 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#111}"
    "table{border-collapse:collapse;width:100%}td,th{border:1px solid #ccc;padding:.25em .5em;text-align:left;vertical-align:top}"
    "th{background:#f3f3f3}pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0}h2{margin-top:2em}td{overflow-wrap:anywhere}"
)


@dataclass(frozen=True)
class Heading:
    """What a report says of itself before its first entry. Moments as RFC 3339 text."""

    subject: str
    tenant: str
    asked_by: str
    asked_at: str
    made_at: str
    question: str
    tree_size: int


class Page:
    """The page in the making: `begin`, then `add` lines (entries as the API gives them, JSON text), then `end`."""

    def __init__(self, heading: Heading) -> None:
        self._heading = heading
        self._day: str | None = None
        self._actions: Counter[str] = Counter()
        self._first = self._last = ""
        self.entries = 0

    def begin(self) -> str:
        heading = self._heading
        rows = [
            ("Data subject", heading.subject),
            ("Log of", heading.tenant),
            ("Asked for by", heading.asked_by),
            ("Asked for at", heading.asked_at),
            ("Made at", heading.made_at),
            ("Narrowed down by", heading.question or "nothing: every entry about the data subject"),
            ("Entries of the whole log with a position", str(heading.tree_size)),
        ]
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
            f"<title>Report on {shown(heading.subject)}</title><style>{_STYLE}</style></head><body>\n"
            f'<h1>What the log holds on {shown(heading.subject)}</h1>\n<p><a href="#counts">Counts</a> are at the end.</p>\n{_table(rows)}\n'
        )

    def add(self, lines: Iterable[str]) -> str:
        return "".join([self._entry(_decode(line)) for line in lines])

    def end(self) -> str:
        counts = [("Entries", str(self.entries)), ("First and last", f"{self._first} to {self._last}" if self.entries else "none")]
        counts += [(f"Action {name}", str(count)) for name, count in sorted(self._actions.items())]
        return f'{self._close_day()}<h2 id="counts">Counts</h2>\n{_table(counts)}\n</body></html>\n'

    def _entry(self, entry: dict[str, Any]) -> str:
        moment = str(entry["timestamp"])
        self.entries += 1
        self._first, self._last = min(self._first or moment, moment), max(self._last, moment)
        action = str(entry["action"])
        self._actions[action if action in self._actions or len(self._actions) < MAX_ACTIONS else _OTHER_ACTIONS] += 1
        day, before = moment[:10], ""
        if day != self._day:
            before = self._close_day() + _open_day(day)
            self._day = day
        resource = " ".join(str(entry[name]) for name in ("resource_type", "resource_id") if name in entry)
        what = str(entry["title"]) if "title" in entry else action
        cells = [moment[11:26], what, resource, f"{entry['severity']}, {entry['outcome']}", str(entry.get("ip_address", ""))]
        whole = msgspec.json.format(msgspec.json.encode(entry), indent=2).decode()
        return (
            before
            + "<tr>"
            + "".join(f"<td>{shown(cell)}</td>" for cell in cells)
            + f"<td><details><summary>all of it</summary><pre>{shown(whole)}</pre></details></td></tr>\n"
        )

    def _close_day(self) -> str:
        return "" if self._day is None else "</table>\n"


def _open_day(day: str) -> str:
    heads = "".join(f"<th>{name}</th>" for name in ("Time (UTC)", "What", "On", "How", "From", "Entry"))
    return f"<h2>{shown(day)}</h2>\n<table><tr>{heads}</tr>\n"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr><th>{shown(name)}</th><td>{shown(value)}</td></tr>" for name, value in rows) + "</table>"


def shown(text: str) -> str:
    """Text that is inert in HTML, with what can't be seen written out."""
    return html.escape(_UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text), quote=True)
