"""What is kept of answers: nothing of the address, and no text that does more than be read."""

from __future__ import annotations

import datetime
import html
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.exceptions import OperationalError

from logs.deliveries import waking
from logs.deliveries.channels import _asked_seconds, cleaned, without_address
from logs.outbound import Answer

SECRET = "T0000/B0000/XXXX-secret-xxxx"
URL = f"https://hooks.example:8443/services/{SECRET}?token=abc%2Fdef-0123456789&v=1"


@pytest.mark.parametrize(
    "page",
    [
        "Cannot POST /services/T0000/B0000/XXXX-secret-xxxx?token=abc%2Fdef-0123456789&v=1",
        "no hook XXXX-secret-xxxx here",
        "not found: /services/T0000/B0000/XXXX-secret-xxxx (token abc/def-0123456789)",
        html.escape("<pre>POST /services/T0000/B0000/XXXX-secret-xxxx?token=abc%2Fdef-0123456789&v=1</pre>"),
    ],
)
def test_address_that_a_receiver_repeats_is_not_kept(page: str) -> None:
    kept = without_address(page, URL)
    assert "[address]" in kept
    assert not [secret for secret in ("XXXX-secret", "abc%2Fdef", "abc/def", "0123456789") if secret in kept]


def test_answer_without_the_address_is_kept_as_it_is() -> None:
    assert without_address("channel_is_archived, see / and v=1", URL) == "channel_is_archived, see / and v=1"


@given(st.text("abcXYZ0189-_ /&<", min_size=8, max_size=40), st.text(max_size=30), st.text(max_size=30))
def test_no_path_is_kept_however_it_is_repeated(secret: str, before: str, after: str) -> None:
    url = "https://hooks.example/" + quote(secret, safe="")
    for spelling in (secret, quote(secret, safe=""), html.escape(secret)):
        # Around it, replacing may join what is left, but nothing of it stands there whole.
        assert spelling not in without_address(before + "\n" + spelling + "\n" + after, url) or spelling in before + after


@given(st.text(), st.integers(0, 50))
def test_text_kept_of_an_answer_has_no_character_that_is_not_seen(text: str, length: int) -> None:
    kept = cleaned(text, length)
    assert len(kept) <= length
    assert not [character for character in kept if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]


@pytest.mark.parametrize("hidden", ["\u00ad", "\u061c", "\u202e", "\u2066", "\ufeff", "\x1b[2J", "\U000e0041"])
def test_hidden_and_turning_characters_are_taken_out(hidden: str) -> None:
    assert "".join(cleaned(f"a{hidden}b", 50).split()) == f"a{hidden.removeprefix(chr(27)) if hidden[0] == chr(27) else ''}b"


def test_broker_that_is_away_is_not_asked_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []
    now = [1000.0]

    def away(*_arguments: object, **_options: object) -> None:
        tries.append(now[0])
        raise OperationalError("away")

    monkeypatch.setattr(waking, "_paused_until", 0.0)
    monkeypatch.setattr("logs.deliveries.waking.time.monotonic", lambda: now[0])
    monkeypatch.setattr("logs.deliveries.waking.current_app.send_task", away)
    for _ in range(100):
        waking.wake(1)
    now[0] += waking.PAUSE_SECONDS
    waking.wake(1)
    assert tries == [1000.0, 1000.0 + waking.PAUSE_SECONDS]


def test_dates_are_not_read_by_this_process_clock() -> None:
    now = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
    assert _asked_seconds(Answer(503, b"", {"retry-after": "Sat, 31 Jan 2026 12:05:00 GMT"}), now) == 300
