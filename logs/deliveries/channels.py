"""The ways to a target: a signed webhook, a chat, a mailbox. Each is one call that ends within `TIMEOUT_SECONDS`."""

from __future__ import annotations

import datetime
import email.utils
import html
import logging
import smtplib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMultiAlternatives, get_connection

from logs.deliveries.secrets import TargetSecrets, secrets_of
from logs.deliveries.signing import headers_of
from logs.models import Delivery, DeliveryTarget, TargetKind
from logs.outbound import Answer, DestinationRefused, OutboundError, Reach, post
from logs.privacy.encryption.master_keys import KeyLost

logger = logging.getLogger(__name__)
TIMEOUT_SECONDS = 10.0
# Mail goes in steps, one for each address and so many others, and each may wait: together for so long.
MAIL_SECONDS, MAIL_STEPS = 45.0, 9
MAX_ANSWER_BYTES = 16 * 1024
# Of what came back no more is kept.
MAX_ERROR_CHARACTERS, MAX_ANSWER_CHARACTERS = 300, 500
# The receiver says that it does not want to be called any more.
GONE = 410
_encode = msgspec.json.encode
# Shorter pieces of an address are words that anybody may say.
_MIN_SECRET_CHARACTERS = 8
# What Slack takes as a message may have; beyond it the whole is refused.
_MAX_SLACK_CHARACTERS = 2_900
_COLOURS = {"INFO": "#3b82f6", "WARNING": "#d97706", "ERROR": "#dc2626", "CRITICAL": "#7f1d1d"}


@dataclass(frozen=True)
class Tried:
    """What came of one attempt. `asked_seconds`: how long the receiver asked to wait; `is_gone`: it wants no more calls."""

    is_success: bool
    status_code: int | None = None
    error: str = ""
    answer: str = ""
    asked_seconds: int | None = None
    is_gone: bool = False


def attempt(target: DeliveryTarget, delivery: Delivery, now: datetime.datetime) -> Tried:
    """Try once. Whatever goes wrong is an answer, not an exception."""
    try:
        secrets = secrets_of(target)
        match target.kind:
            case TargetKind.EMAIL:
                return _mail(target, delivery)
            case TargetKind.SLACK:
                return _judged(_post(secrets, slack_body(delivery.notice), {}), secrets.url, now)
            case _:
                content = webhook_body(delivery)
                return _judged(_post(secrets, content, headers_of(webhook_id(delivery.id), now, content, secrets.keys(now))), secrets.url, now)
    except KeyLost:
        return Tried(False, error="The target's secrets can't be opened: their master key is not among those of this process.")
    except ImproperlyConfigured as error:
        return Tried(False, error=cleaned(str(error), MAX_ERROR_CHARACTERS))
    except DestinationRefused as error:
        return Tried(False, error=cleaned(str(error), MAX_ERROR_CHARACTERS))
    except (OutboundError, smtplib.SMTPException, OSError) as error:
        return Tried(False, error=cleaned(str(error) or type(error).__name__, MAX_ERROR_CHARACTERS))
    except Exception as error:
        # It has to count as an attempt: what raises out of here is due again at once, is never given up, and leaves nothing that says why.
        logger.exception("delivery %s could not be tried", delivery.pk)
        return Tried(False, error=f"It could not be tried ({type(error).__name__}). The log of the sender's process says more.")


def webhook_id(delivery_id: uuid.UUID) -> str:
    """What a receiver knows a delivery by, however often it comes."""
    return f"msg_{delivery_id.hex}"


def webhook_body(delivery: Delivery) -> bytes:
    """`type`, `timestamp` and `data`, as the specification has it. The same bytes for every attempt."""
    notice: Mapping[str, Any] = delivery.notice
    data = {"title": notice["title"], "text": notice["text"], "severity": notice["severity"], **notice["data"]}
    return _encode({"type": delivery.type, "timestamp": notice["at"], "data": data})


def slack_body(notice: Mapping[str, Any]) -> bytes:
    """A message of an incoming webhook. What people wrote is text in it: no link, no mention, no formatting that calls anybody."""
    title, text = _inert(f"{notice['severity']}: {notice['title']}"), _inert(notice["text"])
    block = {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}
    return _encode({"text": title, "attachments": [{"color": _COLOURS.get(notice["severity"], "#64748b"), "blocks": [block]}]})


def cleaned(text: str, length: int) -> str:
    """Text from outside, on one line, without control or invisible characters, and not longer."""
    return "".join(character if character.isprintable() else " " for character in text[:length]).strip()


def without_address(text: str, url: str) -> str:
    """Text without what is secret of an address: many a server's page of a refusal says what it was asked for."""
    parts = urlsplit(url)
    whole = [f"{parts.path}?{parts.query}" if parts.query else parts.path, parts.path, parts.query]
    pieces = [piece for part in (parts.path, parts.query) for piece in part.replace("&", "/").replace("=", "/").split("/")]
    plain = {spelling for piece in (*whole, *pieces) for spelling in (piece, unquote(piece)) if len(spelling) >= _MIN_SECRET_CHARACTERS}
    for spelling in sorted(plain | {html.escape(spelling) for spelling in plain}, key=len, reverse=True):
        text = text.replace(spelling, "[address]")
    return text


def _inert(text: str) -> str:
    """As Slack's documentation has it: &, < and > are all that it reads as more than text, once verbatim."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")[:_MAX_SLACK_CHARACTERS]


def _post(secrets: TargetSecrets, content: bytes, headers: Mapping[str, str]) -> Answer:
    sent = {"Content-Type": "application/json", **headers}
    return post(secrets.url, content, reach=Reach.PUBLIC, headers=sent, timeout_seconds=TIMEOUT_SECONDS, max_answer_bytes=MAX_ANSWER_BYTES)


def _judged(answer: Answer, url: str, now: datetime.datetime) -> Tried:
    said = cleaned(without_address(answer.text, url), MAX_ANSWER_CHARACTERS)
    if answer.is_success:
        return Tried(True, answer.status, answer=said)
    error = f"The receiver answered {answer.status}."
    if 300 <= answer.status < 400:
        error = f"The receiver answered {answer.status}: redirects are not followed. Give the address that it leads to."
    return Tried(False, answer.status, error, said, _asked_seconds(answer, now), answer.status == GONE)


def _asked_seconds(answer: Answer, now: datetime.datetime) -> int | None:
    """Retry-After (RFC 9110 §10.2.3), of answers that it belongs to."""
    text = answer.headers.get("retry-after", "").strip()
    if answer.status not in (429, 503) or not text:
        return None
    if text.isascii() and text.isdigit():
        return int(text[:9])
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return max(0, int((moment - now).total_seconds()))
    except (ValueError, TypeError, OverflowError):
        # No date, one that no calendar has, or one without a zone.
        return None


def _mail(target: DeliveryTarget, delivery: Delivery) -> Tried:
    if not settings.AUDITLOG_EMAIL_URL and settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        return Tried(False, error="This installation sends no mail: AUDITLOG_EMAIL_URL is not set.")
    notice = delivery.notice
    subject = cleaned(f"[{notice['severity']}] {notice['title']}", 200)
    domain = settings.AUDITLOG_EMAIL_FROM.rpartition("@")[2].rstrip(">") or "localhost"
    headers = {"Message-ID": f"<{webhook_id(delivery.id)}@{domain}>", "Auto-Submitted": "auto-generated"}
    # Each step has a share, so that all of them are over before the claim is.
    connection = get_connection(timeout=min(TIMEOUT_SECONDS, MAIL_SECONDS / (len(target.email_addresses) + MAIL_STEPS)))
    message = EmailMultiAlternatives(
        subject, notice["text"], settings.AUDITLOG_EMAIL_FROM, list(target.email_addresses), headers=headers, connection=connection
    )
    page = f"<h2>{html.escape(notice['title'])}</h2><pre style='white-space:pre-wrap;font-family:inherit'>{html.escape(notice['text'])}</pre>"
    message.attach_alternative(page, "text/html")
    message.send()
    return Tried(True, answer="handed to the mail server")
