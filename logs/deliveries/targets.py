"""Making, changing and deleting targets, and new secrets for them. Whoever calls has made sure of the right to."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from accounts.models import Tenant
from accounts.problems import Fault, Invalid, NotFound
from accounts.versions import locked
from logs.deliveries.secrets import SigningSecret, TargetSecrets, keep_secrets, secrets_of
from logs.deliveries.signing import new_secret
from logs.models import DeliveryTarget, TargetKind
from logs.outbound import DestinationRefused, Reach, check_url
from logs.privacy.encryption.master_keys import KeyLost

MAX_TARGETS = 100
MAX_ADDRESSES = 20
MAX_NAME_CHARACTERS = 200
# Secrets that sign beside each other: the newest, and the one before it for the overlap.
DEFAULT_OVERLAP_SECONDS, MAX_OVERLAP_SECONDS = 86_400, 30 * 86_400


@dataclass(frozen=True, kw_only=True)
class NewTarget:
    """A target to be made. Webhooks and chats have a `url`, mailboxes `email_addresses`."""

    name: str
    kind: str
    url: str = ""
    email_addresses: tuple[str, ...] = ()
    is_active: bool = True


def check_target(new: NewTarget) -> None:
    """Raises Invalid, with a pointer for each thing that is wrong."""
    faults = []
    if not new.name.strip():
        faults.append(Fault("/name", "empty", "A target has a name."))
    if "\x00" in new.name:
        faults.append(Fault("/name", "nul_character", "The text has a NUL character (\\u0000), which can't be kept."))
    by_mail = new.kind == TargetKind.EMAIL
    if by_mail and new.url:
        faults.append(Fault("/url", "not_of_kind", "A target of kind `email` has no `url`."))
    if not by_mail and not new.url:
        faults.append(Fault("/url", "missing_field", "A webhook or chat has a `url`."))
    if by_mail and not new.email_addresses:
        faults.append(Fault("/email_addresses", "missing_field", "A target of kind `email` has `email_addresses`."))
    if not by_mail and new.email_addresses:
        faults.append(Fault("/email_addresses", "not_of_kind", "Only a target of kind `email` has `email_addresses`."))
    if len(new.email_addresses) > MAX_ADDRESSES:
        faults.append(Fault("/email_addresses", "too_many_values", f"A target has {MAX_ADDRESSES} addresses at most."))
    for number, address in enumerate(new.email_addresses[:MAX_ADDRESSES]):
        try:
            validate_email(address)
        except ValidationError:
            faults.append(Fault(f"/email_addresses/{number}", "bad_format", "This is no address of a mailbox."))
    if by_mail and not settings.AUDITLOG_EMAIL_URL:
        faults.append(Fault("/kind", "no_mail", "This installation sends no mail: its operator has to set AUDITLOG_EMAIL_URL."))
    if new.url and not by_mail:
        try:
            check_url(new.url, reach=Reach.PUBLIC)
        except DestinationRefused as error:
            faults.append(Fault("/url", "bad_address", str(error)))
    if faults:
        raise Invalid(faults)


def create_target(tenant_id: uuid.UUID, made_by: str, new: NewTarget) -> tuple[DeliveryTarget, str]:
    """Keep a new target. Answers it and its signing secret ("" for kinds that sign nothing), which is not shown again. Raises Invalid."""
    check_target(new)
    secret = new_secret() if new.kind == TargetKind.WEBHOOK else ""
    target = DeliveryTarget(tenant_id=tenant_id, created_by=made_by, name=new.name, kind=new.kind, is_active=new.is_active)
    target.email_addresses = list(new.email_addresses)
    try:
        keep_secrets(target, TargetSecrets(new.url, (SigningSecret(secret),) if secret else ()))
        target.host = _host_of(new)
        with transaction.atomic():
            # One after the other, or two at once would pass the limit together.
            Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
            if DeliveryTarget.objects.filter(tenant_id=tenant_id).count() >= MAX_TARGETS:
                raise Invalid([Fault("", "too_many_delivery_targets", f"There are {MAX_TARGETS} targets, and no more are kept. Delete one first.")])
            target.save()
    except IntegrityError as error:
        raise _exists() from error
    except ImproperlyConfigured as error:
        raise Invalid([Fault("", "no_master_key", "This installation has no master key, so no address can be kept: AUDITLOG_MASTER_KEY.")]) from error
    return target, secret


def change_target(tenant_id: uuid.UUID, id: int, changes: Mapping[str, Any], etags: Collection[str] | None) -> DeliveryTarget:
    """Change a target, if it still has one of `etags` (None: whichever it has). `changes`: new values of NewTarget's fields, but its kind.

    Switched on, or with another address, it is tried at once. Raises NotFound or Invalid.
    """
    try:
        with transaction.atomic():
            target = _locked(tenant_id, id, etags)
            secrets = _opened(target)
            kind, addresses = target.kind, tuple(target.email_addresses)
            new = replace(NewTarget(name=target.name, kind=kind, url=secrets.url, email_addresses=addresses, is_active=target.is_active), **changes)
            check_target(new)
            if new.url != secrets.url:
                keep_secrets(target, TargetSecrets(new.url, secrets.signing))
            if new.is_active and (not target.is_active or new.url != secrets.url):
                target.stopped_because, target.failure_count, target.rests_until = "", 0, None
            target.name, target.email_addresses, target.is_active, target.host = new.name, list(new.email_addresses), new.is_active, _host_of(new)
            _save(target)
            return target
    except IntegrityError as error:
        raise _exists() from error


def rotate_secret(tenant_id: uuid.UUID, id: int, overlap_seconds: int, etags: Collection[str] | None, now: datetime.datetime) -> tuple[DeliveryTarget, str]:
    """Sign with a new secret, and beside it with the one before for so long. Answers the new one, which is not shown again.

    Raises NotFound or Invalid.
    """
    with transaction.atomic():
        target = _locked(tenant_id, id, etags)
        if target.kind != TargetKind.WEBHOOK:
            raise Invalid([Fault("", "not_of_kind", "Only webhooks are signed.")])
        secrets = _opened(target)
        secret, until = new_secret(), now + datetime.timedelta(seconds=overlap_seconds)
        # One that ends sooner, or has no end yet: of more than two, the older ones end now.
        before = tuple(SigningSecret(one.secret, until) for one in secrets.signing[:1] if overlap_seconds)
        keep_secrets(target, TargetSecrets(secrets.url, (SigningSecret(secret), *before)))
        _save(target)
        return target, secret


def delete_target(tenant_id: uuid.UUID, id: int, etags: Collection[str] | None) -> None:
    """Delete a target and what was to be sent to it, if it still has one of `etags`. Raises NotFound or ChangedMeanwhile."""
    with transaction.atomic():
        _locked(tenant_id, id, etags).delete()


def no_such_target(id: int) -> NotFound:
    return NotFound(f"There is no delivery target {id}.")


def _save(target: DeliveryTarget) -> None:
    target.version += 1
    names = ["name", "email_addresses", "host", "sealed", "is_active", "stopped_because", "failure_count", "rests_until", "version", "updated_at"]
    # Not the claim: whoever sends now goes on.
    target.save(update_fields=names)


def _host_of(new: NewTarget) -> str:
    if new.kind == TargetKind.EMAIL:
        return ", ".join(sorted({address.rpartition("@")[2].lower() for address in new.email_addresses}))[:300]
    return str(check_url(new.url, reach=Reach.PUBLIC).host)[:300]


def _locked(tenant_id: uuid.UUID, id: int, etags: Collection[str] | None) -> DeliveryTarget:
    """The row, for the rest of the transaction nobody else's to change. Raises NotFound or ChangedMeanwhile."""
    return locked(DeliveryTarget.objects.select_for_update().filter(tenant_id=tenant_id, pk=id), etags, no_such_target(id))


def _opened(target: DeliveryTarget) -> TargetSecrets:
    """Raises Invalid if its secrets can't be opened."""
    try:
        return secrets_of(target)
    except (KeyLost, ImproperlyConfigured) as error:
        raise Invalid([Fault("", "no_master_key", "The target's secrets can't be opened: delete it and make another.")]) from error


def _exists() -> Invalid:
    return Invalid([Fault("/name", "exists", "There is a delivery target of this name already.")])
