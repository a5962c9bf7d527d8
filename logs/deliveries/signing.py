"""Signatures of webhooks as Standard Webhooks say (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md): symmetric, `v1`."""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
# The specification asks for 24 to 64.
SECRET_BYTES = 32


def new_secret() -> str:
    """A secret as receivers' libraries take it: `whsec_` and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers_of(message_id: str, moment: datetime.datetime, content: bytes, keys: Sequence[str]) -> dict[str, str]:
    """The three headers. While secrets overlap, each signs: a receiver accepts the message if one signature is right.

    Raises ValueError for a secret that is none.
    """
    timestamp = str(int(moment.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + content
    signatures = " ".join("v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode() for secret in keys)
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signatures}


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a signing secret is whsec_ and base64") from None
