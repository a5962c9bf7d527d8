"""A record of the server's log is one record, does nothing and shows no secret."""

from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from celery.signals import setup_logging
from hypothesis import given
from hypothesis import strategies as st

from auditlog_project.celery import use_our_lines
from auditlog_project.log_lines import HIDDEN, MARK, InertFormatter, without_credentials
from auditlog_verify.inert import inert

FORMAT = "{levelname} {name} {message}"


def logged(act: Callable[[logging.Logger], None]) -> str:
    """What `act` leaves in a log of its own."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(InertFormatter(FORMAT, style="{"))
    logger = logging.Logger("tried")  # noqa: LOG001  of this test alone
    logger.addHandler(handler)
    act(logger)
    return output.getvalue()


def raised(error: BaseException) -> Callable[[logging.Logger], None]:
    def act(logger: logging.Logger) -> None:
        try:
            raise error
        except BaseException:
            logger.exception("it failed: %s", error)

    return act


HOSTILE = [
    "a\nERROR tried forged",
    "a\r\nERROR tried forged",
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "\x00",
    "user\u202egnp.exe",
    "a\u2028b\u2029c",
    "\u200bzero\ufeff",
    "\x08\x08\x08\x7f",
    "\U000e0041\U000e007f",
    "\ud800",
]


def is_inert(line: str) -> bool:
    return line == inert(line)


@pytest.mark.parametrize("text", HOSTILE)
def test_record_stays_one_line_and_inert(text: str) -> None:
    output = logged(lambda logger: logger.error("said %s", text))
    (line,) = output.splitlines()
    assert line.startswith("ERROR tried said ")
    assert is_inert(line)
    assert output.isprintable() or output.rstrip("\n").isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_traceback_stands_where_a_record_begins(text: str) -> None:
    lines = logged(raised(ValueError(text))).split("\n")
    assert lines[0].startswith("ERROR tried it failed: ")
    assert lines[-1] == ""
    assert len(lines) > 3
    assert all(line.startswith(MARK) for line in lines[1:-1])
    assert all(is_inert(line) for line in lines)
    assert [line for line in lines if line.startswith("ERROR")] == lines[:1]


@given(st.text())
def test_any_text_makes_one_line(text: str) -> None:
    output = logged(lambda logger: logger.warning("%s", text))
    assert output.count("\n") == 1
    assert len(output.splitlines()) == 1


@given(st.text(alphabet=st.characters(exclude_categories=["C", "Z"], exclude_characters="\u034f")))
def test_what_is_only_text_stays_as_it_is(text: str) -> None:
    assert inert(text) == text


# Text with a secret in it, and the secret.
SECRETS = [
    ("postgresql://auditlog_app:s3cr3t-pw@db.example:5432/auditlog", "s3cr3t-pw"),
    ("connection to postgresql://u:p%40s3cr3t@h/db failed", "p%40s3cr3t"),
    ("postgresql://u:with@s3cr3t@h/db", "with@s3cr3t"),
    ("Error 111 connecting to redis://:s3cr3tredis@10.0.0.1:6379/0.", "s3cr3tredis"),
    ("amqp://guest:s3cr3tguest@mq//", "s3cr3tguest"),
    ('could not parse: host=db user=app password=s3cr3t-kv dbname=x', "s3cr3t-kv"),
    ("password='s3cr3t with spaces' host=db", "s3cr3t with spaces"),
    ('{"password": "s3cr3t-json", "username": "alice"}', "s3cr3t-json"),
    ("{'refresh': 's3cr3t-refresh'}", "s3cr3t-refresh"),
    ("Authorization: Bearer s3cr3t.bearer-token", "s3cr3t.bearer-token"),
    ("Authorization: Basic czNjcjN0OnB3ZA==", "czNjcjN0OnB3ZA=="),
    ("header b'authorization', b'Bearer abcdefs3cr3t'", "abcdefs3cr3t"),
    ("key alk_abcdefghijkl_" + "S" * 43, "S" * 43),
    ("viewer alv_abcdefghijkl_" + "V" * 43, "V" * 43),
    ("token eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIiOiIxIn0"),
    ("GET /api/v1/exports/1/file?expires=1&signature=deadbeefcafe HTTP/1.1", "deadbeefcafe"),
    ("AWS_SECRET_ACCESS_KEY aws_secret_key=s3cr3taws", "s3cr3taws"),
    ("Cookie: sessionid=s3cr3tsession", "s3cr3tsession"),
    ("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----", "MC4CAQAwBQYDK2VwBCIEIA"),
    ("-----BEGIN EC PRIVATE KEY-----\\nMHcCAQEEIBs3cr3t", "MHcCAQEEIBs3cr3t"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_credential_is_not_shown(text: str, secret: str) -> None:
    for output in (logged(lambda logger: logger.error("%s", text)), logged(raised(RuntimeError(text)))):
        assert secret not in output
        assert HIDDEN in output


@pytest.mark.parametrize(
    "text",
    [
        "the access token of alice has expired",
        "http://localhost:8000/api/v1/logs answered 503",
        "the key alk_abcdefghijkl was revoked",
        "export job 019a2b3c-4d5e-7000-8000-00000000002a: attempt 1",
        "alice@example.com signed in",
        "checkpoints can't be copied to s3://bucket/prefix: no route to host",
        "secrets made: 3; passwords: see docs",
    ],
)
def test_what_only_looks_like_one_is_shown(text: str) -> None:
    assert without_credentials(text) == text


def test_prefix_of_a_key_is_kept() -> None:
    assert without_credentials("alk_abcdefghijkl_" + "S" * 43) == f"alk_abcdefghijkl_{HIDDEN}"


@pytest.mark.parametrize("field", ["DETAIL", "CONTEXT", "STATEMENT"])
def test_rows_that_postgresql_quotes_are_left_out(field: str) -> None:
    text = f'duplicate key value violates unique constraint "x"\n{field}:  Failing row contains (planted\nvalue, two\nlines).'
    for output in (logged(lambda logger: logger.error("failed: %s", text)), logged(raised(RuntimeError(text)))):
        assert "violates unique constraint" in output
        assert f"{field}: (left out)" in output
        for planted in ("planted", "value, two", "lines)"):
            assert planted not in output


def test_chained_errors_are_shown_after_a_quoted_row() -> None:
    # Joined, for a traceback shows the line of the source as well.
    text = "one\nDETAIL: " + "plan" + "ted"

    def act(logger: logging.Logger) -> None:
        try:
            try:
                raise ValueError(text)
            except ValueError as error:
                raise KeyError("two") from error
        except KeyError:
            logger.exception("failed")

    output = logged(act)
    assert "planted" not in output
    assert "KeyError: 'two'" in output


def test_payload_is_cut() -> None:
    output = logged(lambda logger: logger.error("%s", "x" * 300_000))
    assert len(output) < 9_000
    assert output.endswith("(291808 characters left out)\n")
    deep = logged(raised(RuntimeError("y" * 300_000)))
    assert len(deep) < 45_000


def test_arguments_that_do_not_fit_are_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    output = logged(lambda logger: logger.error("one %s", "planted", "argument"))  # noqa: PLE1205  the fault under test
    assert output == "ERROR tried one %s (its arguments do not fit)\n"
    assert capsys.readouterr().err == ""


def test_text_of_an_exception_is_not_left_for_other_handlers() -> None:
    try:
        raise ValueError("a\nb")
    except ValueError:
        record = logging.LogRecord("n", logging.ERROR, "p", 1, "m", None, sys.exc_info())
    InertFormatter(FORMAT, style="{").format(record)
    assert record.exc_text is None


def test_stack_is_indented_like_a_traceback() -> None:
    output = logged(lambda logger: logger.error("where", stack_info=True))
    assert all(line.startswith(MARK) for line in output.splitlines()[1:])


@pytest.mark.parametrize("evil", ["a" * 60_000, "://" * 20_000, "://" + "@" * 60_000, "-----BEGIN PRIVATE KEY-----" * 2_000, "eyJ" * 20_000,
                                  "eyJaaaaaa." * 6_000, "password=" * 6_000, "_" * 60_000, "token_" * 10_000, "Bearer " * 9_000, "'" * 60_000])  # fmt: skip
def test_masking_is_quick_whatever_comes(evil: str) -> None:
    started = time.monotonic()
    without_credentials(evil)
    # Linear ones take milliseconds; a quadratic one takes minutes at this length.
    assert time.monotonic() - started < 5


def test_settings_use_it_for_every_handler(settings: Any) -> None:
    assert {formatter["()"] for formatter in settings.LOGGING["formatters"].values()} == {"auditlog_project.log_lines.InertFormatter"}
    assert all(handler["formatter"] in settings.LOGGING["formatters"] for handler in settings.LOGGING["handlers"].values())
    for name in ("", "django", "django.request", "django.server", "_granian.asgi", "granian.access", "celery"):
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            for handler in logger.handlers:
                # pytest's own handlers collect records for its reports.
                is_quiet = isinstance(handler, logging.NullHandler) or type(handler).__module__.startswith("_pytest")
                assert is_quiet or isinstance(handler.formatter, InertFormatter), (name, handler)
            logger = logger.parent if logger.propagate else None


def test_celery_leaves_logging_to_us() -> None:
    """With a receiver it sets up no handlers, and redirects no output, of its own."""
    assert use_our_lines in [reference() for _, reference in setup_logging.receivers]
