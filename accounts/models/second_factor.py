"""What a person proves themselves by besides the password. Neither table has anything that a thief of it could sign in with."""

from __future__ import annotations

import hashlib
import secrets
import time
from base64 import b32encode
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django_otp.models import Device, ThrottlingMixin, TimestampMixin
from django_otp.oath import TOTP

from accounts.sealing import NotSealedHere, seal, unseal

PURPOSE = "second factor"
SEED_BYTES = 20
DIGITS = 6
STEP_SECONDS = 30
# Of the clock of the telephone, in steps to either side.
TOLERANCE = 1
# Each wrong code doubles the wait for the next, from 1 s; django-otp lets it grow to years, and so lets a thief of the password lock the owner out.
MAX_THROTTLED_FAILURES = 11
CODES = 10
CODE_BYTES = 10


class _Throttled(TimestampMixin, ThrottlingMixin, Device):
    """A wrong code makes the next one wait: 1, 2, 4 ... seconds, 17 minutes at most."""

    class Meta:
        abstract = True

    def get_throttle_factor(self) -> int:
        return 1

    def throttle_increment(self, commit: bool = True) -> None:
        super().throttle_increment(commit=False)
        self.throttling_failure_count = min(self.throttling_failure_count, MAX_THROTTLED_FAILURES)
        if commit:
            self.save()


class Authenticator(_Throttled):
    """An application that shows time-based codes (RFC 6238: SHA-1, 6 digits, 30 seconds). Each code works once."""

    sealed_seed = models.BinaryField(editable=False)
    last_step = models.BigIntegerField(default=-1, editable=False)
    drift = models.SmallIntegerField(default=0, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "confirmed"], name="one_authenticator_of_a_person")]

    @classmethod
    def unconfirmed(cls, user: Any) -> Authenticator:
        """The one that the person is about to set up: made now, or begun before."""
        seed = seal(PURPOSE, str(user.pk), secrets.token_bytes(SEED_BYTES))
        found: Authenticator
        found, _ = cls.objects.get_or_create(user=user, confirmed=False, defaults={"name": "authenticator", "sealed_seed": seed})
        return found

    @property
    def seed(self) -> bytes:
        """Raises NotSealedHere."""
        return unseal(PURPOSE, str(self.user_id), bytes(self.sealed_seed))

    @property
    def seed_as_text(self) -> str:
        """For who can't read the picture: base32, as authenticators take it."""
        return b32encode(self.seed).decode()

    @property
    def uri(self) -> str:
        """What the picture says (Key URI Format)."""
        label = quote(f"{settings.OTP_TOTP_ISSUER}:{self.user.get_username()}", safe="")
        given = {"secret": self.seed_as_text, "issuer": settings.OTP_TOTP_ISSUER, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_SECONDS}
        return f"otpauth://totp/{label}?{urlencode(given, quote_via=quote)}"

    def verify_token(self, token: str) -> bool:
        """Is this the code of now, or of a step beside it, and not used before? Has to be called with the row locked."""
        if not self.verify_is_allowed()[0]:
            return False
        try:
            seed = self.seed
        except NotSealedHere:
            return False
        totp = TOTP(seed, STEP_SECONDS, digits=DIGITS, drift=self.drift)
        totp.time = time.time()
        if not (token.isascii() and token.isdigit() and len(token) == DIGITS and totp.verify(int(token), TOLERANCE, self.last_step + 1)):
            self.throttle_increment()
            return False
        self.last_step, self.drift = totp.t(), totp.drift
        # Under the key of today, should it have changed.
        self.sealed_seed = seal(PURPOSE, str(self.user_id), seed)
        self.throttle_reset(commit=False)
        self.set_last_used_timestamp(commit=False)
        self.save()
        return True


class RecoveryCodes(_Throttled):
    """For a lost telephone: ten codes of 80 random bits, each good once. Stored are their SHA-256 (there is nothing to guess)."""

    digests = ArrayField(models.BinaryField(max_length=32), editable=False)

    class Meta:
        verbose_name_plural = "recovery codes"
        constraints = [models.UniqueConstraint(fields=["user"], name="one_set_of_recovery_codes_of_a_person")]

    @classmethod
    def renew(cls, user: Any) -> list[str]:
        """New codes, shown this once; earlier ones are void."""
        codes = [b32encode(secrets.token_bytes(CODE_BYTES)).decode().lower() for _ in range(CODES)]
        values = {"name": "recovery codes", "digests": [_digest(code) for code in codes], "throttling_failure_count": 0, "throttling_failure_timestamp": None}
        cls.objects.update_or_create(user=user, defaults=values)
        return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes]

    def verify_token(self, token: str) -> bool:
        """Is this one of the codes? Then it is used up. Has to be called with the row locked."""
        if not self.verify_is_allowed()[0]:
            return False
        wanted = _digest(token.replace("-", "").replace(" ", "").lower())
        left = [digest for digest in map(bytes, self.digests) if digest != wanted]
        if len(left) == len(self.digests):
            self.throttle_increment()
            return False
        self.digests = left
        self.throttle_reset(commit=False)
        self.set_last_used_timestamp(commit=False)
        self.save()
        return True


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).digest()
