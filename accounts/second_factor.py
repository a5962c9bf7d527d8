"""The second factor: a code of an authenticator (TOTP), or one of the recovery codes.

Who has one is always asked for it. Who has none is asked to set one up before the admin's pages open, if `AUDITLOG_SECOND_FACTOR` is
`required`. Codes work once; django-otp keeps the clock's drift and slows down who guesses.
"""

from __future__ import annotations

import io
from typing import Any

import segno
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django_otp.models import Device

from accounts.models import Authenticator, RecoveryCodes, User
from accounts.models.second_factor import DIGITS

REQUIRED = "required"


def is_on(user: Any) -> bool:
    """Has this person a second factor?"""
    return Authenticator.objects.filter(user_id=user.pk, confirmed=True).exists()


def is_satisfied(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Has whoever has this session shown all that they have to?"""
    if getattr(user, "otp_device", None) is not None:
        return True
    return settings.AUDITLOG_SECOND_FACTOR != REQUIRED and not is_on(user)


def device_that_accepts(user: User, code: str) -> Device | None:
    """The device that this is a code of; the code is used up. None: of none, or too soon after a wrong one."""
    code = code.strip()
    kind: type[Authenticator | RecoveryCodes] = Authenticator if len(code) == DIGITS and code.isdigit() else RecoveryCodes
    # Left by a return, for a wrong code has to be counted: an exception would roll that back.
    with transaction.atomic():
        device = kind.objects.select_for_update().filter(user=user, confirmed=True).first()
        return device if device is not None and device.verify_token(code) else None


def confirm(user: User, code: str) -> list[str] | None:
    """Set up the authenticator that was begun, if the code is its own; it takes the place of the one before. Answers new recovery codes."""
    with transaction.atomic():
        pending = Authenticator.objects.select_for_update().filter(user=user, confirmed=False).first()
        if pending is None or not pending.verify_token(code.strip()):
            return None
        Authenticator.objects.filter(user=user, confirmed=True).delete()
        pending.confirmed = True
        pending.save()
        return RecoveryCodes.renew(user)


def remove(user: Any) -> bool:
    """Take a person's second factor away. Answers whether there was one."""
    with transaction.atomic():
        count, _ = Authenticator.objects.filter(user_id=user.pk).delete()
        RecoveryCodes.objects.filter(user_id=user.pk).delete()
    return count > 0


def picture(uri: str) -> str:
    """A QR code as SVG, without any style that the page's policy would refuse."""
    out = io.BytesIO()
    segno.make(uri, error="m").save(out, kind="svg", scale=5, border=4, xmldecl=False, svgns=True, light="#fff", nl=False)
    return out.getvalue().decode()
