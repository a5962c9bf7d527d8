"""The address of a mail server, read."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True)
class MailServer:
    """Where mail goes. `uses_tls`: from the first byte; `uses_starttls`: after a greeting in the clear, or not at all."""

    host: str = "localhost"
    port: int = 25
    user: str = ""
    password: str = ""
    uses_tls: bool = False
    uses_starttls: bool = False


def server_of(url: str) -> MailServer:
    """The server that `smtp://` or `smtps://` names. A password goes over TLS alone. Raises ImproperlyConfigured, without the password."""
    if not url:
        return MailServer()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured("AUDITLOG_EMAIL_URL is no address of the form smtp://user:password@host:587.") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ImproperlyConfigured("AUDITLOG_EMAIL_URL has to be of the form smtp://user:password@host:587, or smtps://.")
    uses_tls = parts.scheme == "smtps"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return MailServer(parts.hostname, port or (465 if uses_tls else 587 if user else 25), user, password, uses_tls, bool(user) and not uses_tls)
