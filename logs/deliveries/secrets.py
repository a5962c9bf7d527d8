"""What of a target is secret: its address and the secrets that sign. Sealed by the master key; nothing of it is shown again."""

from __future__ import annotations

import datetime

import msgspec

from logs.models import DeliveryTarget
from logs.privacy.encryption.sealed import keep_sealed, kept_in


class SigningSecret(msgspec.Struct, frozen=True):
    """A secret, and until when it signs; None: until it is rotated."""

    secret: str
    until: datetime.datetime | None = None


class TargetSecrets(msgspec.Struct, frozen=True):
    """`signing`: newest first."""

    url: str = ""
    signing: tuple[SigningSecret, ...] = ()

    def keys(self, now: datetime.datetime) -> list[str]:
        """The secrets that sign now."""
        return [one.secret for one in self.signing if one.until is None or one.until > now]


def keep_secrets(target: DeliveryTarget, secrets: TargetSecrets) -> None:
    """Put them into the row; it is not saved yet. Raises ImproperlyConfigured without a master key."""
    keep_sealed(target, secrets)


def secrets_of(target: DeliveryTarget) -> TargetSecrets:
    """Raises KeyLost, or ImproperlyConfigured without a master key."""
    return kept_in(target, TargetSecrets)
