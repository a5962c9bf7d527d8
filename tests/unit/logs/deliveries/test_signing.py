"""Signatures and waits."""

from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from logs.deliveries.channels import cleaned, slack_body
from logs.deliveries.retrying import DELAYS_SECONDS, MAX_ASKED_SECONDS, MAX_ATTEMPTS, delay_seconds
from logs.deliveries.signing import headers_of, new_secret


def test_signature_is_that_of_the_specifications_example() -> None:
    """Example of the specification's reference libraries."""
    moment = datetime.datetime.fromtimestamp(1614265330, datetime.UTC)
    found = headers_of("msg_p5jXN8AQM9LWM0D4loKWxJek", moment, b'{"test": 2432232314}', ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    assert found == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=4))
def test_independent_library_accepts_each_of_two_secrets_and_no_other(data: dict[str, str]) -> None:
    old, new, other = new_secret(), new_secret(), new_secret()
    content = json.dumps(data).encode()
    headers = headers_of("msg_1", datetime.datetime.now(datetime.UTC), content, [new, old])
    assert Webhook(old).verify(content, headers) == Webhook(new).verify(content, headers) == data
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(content, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(content + b" ", headers)


def test_secret_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        headers_of("msg_1", datetime.datetime.now(datetime.UTC), b"", ["whsec_not base64!"])


@given(st.integers(1, 50), st.floats(0, 1, exclude_max=True), st.none() | st.integers(0, 10**9))
def test_waits_grow_are_scattered_and_bounded(failures: int, random: float, asked: int | None) -> None:
    usual = DELAYS_SECONDS[min(failures, len(DELAYS_SECONDS)) - 1]
    found = delay_seconds(failures, random, asked)
    assert max(usual / 2, min(asked or 0, MAX_ASKED_SECONDS)) <= found <= max(usual * 1.5, MAX_ASKED_SECONDS)
    assert list(DELAYS_SECONDS) == sorted(DELAYS_SECONDS)
    assert len(DELAYS_SECONDS) == MAX_ATTEMPTS - 1


@given(st.text())
def test_nothing_that_people_wrote_is_more_than_text_in_a_chat(text: str) -> None:
    message = json.loads(slack_body({"severity": "ERROR", "title": text, "text": text}))
    for shown in (message["text"], message["attachments"][0]["blocks"][0]["text"]["text"]):
        assert not {"<", ">"} & set(shown)
        assert all(shown[place:].startswith(("&amp", "&lt", "&gt", "&am", "&a", "&l", "&g", "&")) for place, sign in enumerate(shown) if sign == "&")


@given(st.text(), st.integers(0, 50))
def test_text_from_outside_is_one_short_line_without_control_characters(text: str, length: int) -> None:
    found = cleaned(text, length)
    assert len(found) <= length
    assert found.isprintable()
