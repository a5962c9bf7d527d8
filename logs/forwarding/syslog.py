"""Entries as syslog messages (RFC 5424), in frames that count their bytes (RFC 6587 §3.4.1, RFC 5425 §4.3). Pure."""

from __future__ import annotations

import re

from logs.search.output import EntryOutput

# Facility 13, log audit (RFC 5424 §6.2.1).
FACILITY = 13
_SEVERITIES = {"INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
# Of structured data: the number that documentation and examples have (RFC 5612).
_SD_ID = "auditlog@32473"
_NOT_OF_A_NAME = re.compile(r"[^\x21-\x7e]+")


def message_of(entry: EntryOutput, position: int, content: bytes, tenant: str) -> bytes:
    """One message: its MSG is the entry as JSON on one line, in UTF-8. Every text of people is in there, where JSON keeps it inert, or escaped."""
    priority = FACILITY * 8 + _SEVERITIES[entry.severity]
    data = f'[{_SD_ID} position="{position}" tenant="{_escaped(tenant)}" action="{_escaped(entry.action)}" user="{_escaped(entry.user_id)}"]'
    head = f"<{priority}>1 {entry.timestamp} auditlog auditlog - {_name(entry.action)} {data} "
    # The mark of UTF-8 (§6.4).
    return head.encode() + b"\xef\xbb\xbf" + content


def framed(message: bytes) -> bytes:
    """The message with its length before it: whatever it holds, the next one begins where it says."""
    return str(len(message)).encode() + b" " + message


def _name(text: str) -> str:
    """MSGID: up to 32 printable characters of ASCII."""
    return _NOT_OF_A_NAME.sub("_", text)[:32] or "-"


def _escaped(text: str) -> str:
    """PARAM-VALUE (§6.3.3): quotes, backslashes and brackets are escaped. Line ends and other controls are no part of a value that people read."""
    inert = "".join(character if character.isprintable() else " " for character in text[:256])
    return inert.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
