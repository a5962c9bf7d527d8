"""Making, changing, pausing and replaying forwarders. Whoever calls has made sure of the right to."""

from __future__ import annotations

import datetime
import ssl
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction

from accounts.models import Tenant
from accounts.problems import Fault, Invalid, NotFound
from accounts.versions import locked
from logs.deliveries.signing import new_secret
from logs.errors import InvalidQuery
from logs.forwarding.destinations import Secrets, is_allowed, keep_secrets, secrets_of
from logs.models import Forwarder, ForwarderKind
from logs.outbound import DestinationRefused, Reach, check_url
from logs.outbound.connecting import check_port
from logs.privacy.encryption.master_keys import KeyLost
from logs.search.qualifiers import Reader
from logs.streaming.reading import tree_size_of

MAX_FORWARDERS = 20
MAX_NAME_CHARACTERS, MAX_URL_CHARACTERS, MAX_CERTIFICATE_CHARACTERS = 200, 2_048, 20_000


@dataclass(frozen=True, kw_only=True)
class NewForwarder:
    """A forwarder to be made. `url`: `https://...` of webhooks and Splunk, `syslog://host:port` or `syslog+tls://host:port`, `s3://bucket/prefix`."""

    name: str
    kind: str
    url: str
    query: str = ""
    token: str = ""
    index: str = ""
    certificate: str = ""
    is_active: bool = True


def check_forwarder(new: NewForwarder, now: datetime.datetime) -> None:
    """Raises Invalid, with a pointer for each thing that is wrong."""
    faults = []
    if not new.name.strip():
        faults.append(Fault("/name", "empty", "A forwarder has a name."))
    for name in ("name", "token", "index", "certificate"):
        if "\x00" in getattr(new, name):
            faults.append(Fault(f"/{name}", "nul_character", "The text has a NUL character (\\u0000), which can't be kept."))
    if (new.token or new.index) and new.kind != ForwarderKind.SPLUNK:
        faults.append(Fault("/token", "not_of_kind", "Only Splunk has a token and an index."))
    if new.kind == ForwarderKind.SPLUNK and not new.token:
        faults.append(Fault("/token", "missing_field", "Splunk has a token."))
    if new.token and not (new.token.isascii() and new.token.isprintable()):
        faults.append(Fault("/token", "bad_format", "A token is of printable characters of ASCII."))
    if new.certificate:
        faults += _faults_of_certificate(new)
    if fault := _fault_of_url(new):
        faults.append(fault)
    try:
        Reader(now).tree(new.query)
    except InvalidQuery as problem:
        faults += [Fault("/query", fault.code, fault.detail, fault.column) for fault in problem.faults]
    if faults:
        raise Invalid(faults)


def create_forwarder(tenant_id: uuid.UUID, made_by: str, new: NewForwarder, now: datetime.datetime, from_position: int | None = None) -> tuple[Forwarder, str]:
    """Keep a new forwarder, which begins with what comes, or at `from_position`. Answers it and a webhook's signing secret, not shown again. Raises Invalid."""
    check_forwarder(new, now)
    secret = new_secret() if new.kind == ForwarderKind.WEBHOOK else ""
    row = Forwarder(tenant_id=tenant_id, created_by=made_by, name=new.name, kind=new.kind, query=new.query, is_active=new.is_active, caught_up_at=now)
    row.position = _before(tenant_id, from_position)
    row.host = _host_of(new)
    try:
        keep_secrets(row, Secrets(new.url, new.token, secret, new.index, new.certificate))
        with transaction.atomic():
            # One after the other, or two at once would pass the limit together.
            Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
            if Forwarder.objects.filter(tenant_id=tenant_id).count() >= MAX_FORWARDERS:
                raise Invalid([Fault("", "too_many_forwarders", f"There are {MAX_FORWARDERS} forwarders, and no more are kept. Delete one first.")])
            row.save()
    except IntegrityError as error:
        raise _exists() from error
    except ImproperlyConfigured as error:
        raise Invalid([Fault("", "no_master_key", "This installation has no master key, so no address can be kept: AUDITLOG_MASTER_KEY.")]) from error
    return row, secret


def change_forwarder(tenant_id: uuid.UUID, id: int, changes: Mapping[str, Any], etags: Collection[str] | None, now: datetime.datetime) -> Forwarder:
    """Change a forwarder, but its kind; it goes on from its position. `changes`: new values of NewForwarder's fields.

    Raises NotFound or Invalid.
    """
    try:
        with transaction.atomic():
            row = _locked(tenant_id, id, etags)
            try:
                old = secrets_of(row)
            except (KeyLost, ImproperlyConfigured) as error:
                raise Invalid([Fault("", "no_master_key", "The forwarder's secrets can't be opened: delete it and make another.")]) from error
            known = NewForwarder(
                name=row.name,
                kind=row.kind,
                url=old.url,
                query=row.query,
                token=old.token,
                index=old.index,
                certificate=old.certificate,
                is_active=row.is_active,
            )
            new = replace(known, **changes)
            if old.token and "token" not in changes and _place_of(new.url) != _place_of(old.url):
                # Else whoever may change the address, and may not see the token, has it sent to a server of their own.
                raise Invalid([Fault("/token", "missing_field", "With an address at another server the token has to be given again.")])
            check_forwarder(new, now)
            keep_secrets(row, Secrets(new.url, new.token, old.secret, new.index, new.certificate))
            if new.url != old.url or new.query != row.query:
                # What was begun as one object was begun elsewhere, or has other entries.
                row.pending_last = None
            row.name, row.query, row.is_active, row.host = new.name, new.query, new.is_active, _host_of(new)
            return _saved(row)
    except IntegrityError as error:
        raise _exists() from error


def switch(tenant_id: uuid.UUID, id: int, *, is_active: bool, etags: Collection[str] | None = None) -> Forwarder:
    """Pause a forwarder, or have it go on from where it was. Raises NotFound or ChangedMeanwhile."""
    with transaction.atomic():
        row = _locked(tenant_id, id, etags)
        row.is_active = is_active
        return _saved(row)


def replay_from(tenant_id: uuid.UUID, id: int, position: int, etags: Collection[str] | None = None) -> Forwarder:
    """Have a forwarder send again from a position on, that one included. Raises NotFound or Invalid."""
    with transaction.atomic():
        row = _locked(tenant_id, id, etags)
        row.position, row.pending_last = _before(tenant_id, position), None
        return _saved(row)


def delete_forwarder(tenant_id: uuid.UUID, id: int, etags: Collection[str] | None) -> None:
    """Delete a forwarder, if it still has one of `etags` (None: whichever it has). Raises NotFound or ChangedMeanwhile."""
    with transaction.atomic():
        _locked(tenant_id, id, etags).delete()


def no_such_forwarder(id: int) -> NotFound:
    return NotFound(f"There is no forwarder {id}.")


def _saved(row: Forwarder) -> Forwarder:
    row.version += 1
    row.failure_count, row.last_error, row.failed_at = 0, "", None
    # Not what a sender counts.
    names = ["name", "query", "host", "sealed", "is_active", "position", "pending_last", "version", "failure_count", "last_error", "failed_at", "updated_at"]
    row.save(update_fields=names)
    return row


def _before(tenant_id: uuid.UUID, from_position: int | None) -> int:
    """The cursor that stands before a position; None: before what comes. Raises Invalid for a position that the log does not have."""
    size = tree_size_of(tenant_id)
    if from_position is None:
        return size - 1
    if not 0 <= from_position <= size:
        raise Invalid([Fault("/from_position", "no_such_position", f"The log has the positions 0 to {size - 1}.")])
    return from_position - 1


def _fault_of_url(new: NewForwarder) -> Fault | None:
    try:
        if new.kind in (ForwarderKind.WEBHOOK, ForwarderKind.SPLUNK):
            check_url(new.url, reach=Reach.PUBLIC)
        elif new.kind == ForwarderKind.SYSLOG:
            parts = urlsplit(new.url)
            port = parts.port
            if parts.scheme not in ("syslog", "syslog+tls") or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment or parts.username:
                return Fault("/url", "bad_address", "The address of a syslog server reads syslog://host:port, or syslog+tls://host:port.")
            check_port(port or 514)
            # Judges a number by what it means; of names it is told when they are called.
            check_url(f"http://{parts.netloc.rpartition(':')[0] if port else parts.netloc}:{max(port or 1024, 1024)}/", reach=Reach.PUBLIC)
        elif not is_allowed(new.url) or ".." in new.url.split("/"):
            return Fault(
                "/url", "storage_not_allowed", "The operator allows no forwarding there: AUDITLOG_FORWARD_URLS names the object storages that may be used."
            )
    except DestinationRefused as error:
        return Fault("/url", "bad_address", str(error))
    except ValueError:
        return Fault("/url", "bad_address", "This is no address.")
    return None


def _faults_of_certificate(new: NewForwarder) -> list[Fault]:
    if new.kind != ForwarderKind.SYSLOG:
        return [Fault("/certificate", "not_of_kind", "Only syslog has a certificate.")]
    try:
        ssl.create_default_context(cadata=new.certificate)
    except (ssl.SSLError, ValueError, TypeError):
        # TypeError: text that is not of ASCII.
        return [Fault("/certificate", "bad_format", "A certificate is text in the form of PEM.")]
    return []


def _place_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what makes one server of an address."""
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").lower(), parts.port
    except ValueError:
        return url, "", None


def _host_of(new: NewForwarder) -> str:
    if new.kind == ForwarderKind.OBJECTS:
        return new.url[:300]
    return (urlsplit(new.url).hostname or "")[:300]


def _locked(tenant_id: uuid.UUID, id: int, etags: Collection[str] | None) -> Forwarder:
    """The row, for the rest of the transaction nobody else's to change. Raises NotFound or ChangedMeanwhile."""
    return locked(Forwarder.objects.select_for_update().filter(tenant_id=tenant_id, pk=id), etags, no_such_forwarder(id))


def _exists() -> Invalid:
    return Invalid([Fault("/name", "exists", "There is a forwarder of this name already.")])
