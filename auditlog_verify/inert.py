"""Text of somebody else's, made harmless for a terminal or a log file."""

from __future__ import annotations

import re

# C0, DEL and C1 (line ends, ESC, CSI), soft hyphen, invisible and bidirectional controls, line and paragraph separators, surrogates, tags.
_ACTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)  # fmt: skip


def inert(text: str) -> str:
    """The text with every character that moves, hides, colours or reorders others written as an escape (`\\n`, `\\x1b`, `\\u202e`).

    One line comes back. Backslashes stay as they are: this is to be read, not to be undone.
    """
    return _ACTIVE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
