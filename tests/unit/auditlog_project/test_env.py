"""The typed readers of settings: what they take, and what they say when they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from auditlog_project.env import Declaration, Environment
from auditlog_project.reference import settings_page


def test_a_value_is_read_in_its_type() -> None:
    env = Environment({"AUDITLOG_A": "7", "AUDITLOG_B": "2.5", "AUDITLOG_C": "yes", "AUDITLOG_D": "x, y,,", "AUDITLOG_E": "two"})
    assert env.integer("AUDITLOG_A", 1, "") == 7
    assert env.seconds("AUDITLOG_B", 1, "") == 2.5
    assert env.boolean("AUDITLOG_C", False, "") is True
    assert env.items("AUDITLOG_D", "", "") == ["x", "y"]
    assert env.choice("AUDITLOG_E", ("one", "two"), "one", "") == "two"


def test_an_absent_or_empty_value_is_the_default() -> None:
    env = Environment({"AUDITLOG_EMPTY": ""})
    assert env.integer("AUDITLOG_EMPTY", 5, "") == 5
    assert env.integer("AUDITLOG_ABSENT", 5, "") == 5
    assert env.boolean("AUDITLOG_NEITHER", True, "") is True


@pytest.mark.parametrize(
    ("text", "reason"),
    [("many", "invalid literal"), ("0", "has to be at least 1 and at most 9"), ("10", "has to be at least 1 and at most 9"), ("1.5", "invalid literal")],
)
def test_a_number_that_is_none_or_out_of_range_is_refused(text: str, reason: str) -> None:
    env = Environment({"AUDITLOG_A": text})
    with pytest.raises(ImproperlyConfigured, match=rf"AUDITLOG_A='{text}' is no whole number: {reason}"):
        env.integer("AUDITLOG_A", 1, "", least=1, most=9)


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "1h"])
def test_seconds_that_are_no_length_of_time_are_refused(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"AUDITLOG_A='{text}' is no seconds"):
        Environment({"AUDITLOG_A": text}).seconds("AUDITLOG_A", 1, "")


def test_a_word_that_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="AUDITLOG_A='maybe' is no true or false: has to be true or false"):
        Environment({"AUDITLOG_A": "maybe"}).boolean("AUDITLOG_A", False, "")


def test_a_choice_that_is_not_offered_is_refused_with_those_that_are() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"AUDITLOG_A='mongo' .*: has to be one of native, citus"):
        Environment({"AUDITLOG_A": "mongo"}).choice("AUDITLOG_A", ("native", "citus"), "native", "")


def test_a_required_value_that_is_absent_is_refused_with_its_meaning() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"DATABASE_URL is not set\. Where PostgreSQL is\."):
        Environment({}).text("DATABASE_URL", None, "Where PostgreSQL is.")


def test_a_secret_comes_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    env = Environment({"AUDITLOG_SECRET_KEY_FILE": str(tmp_path / "secret")})
    assert env.text("AUDITLOG_SECRET_KEY", None, "") == "from the file"
    env.refuse_unknown()


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    env = Environment({"AUDITLOG_SECRET_KEY_FILE": str(tmp_path / "absent")})
    with pytest.raises(ImproperlyConfigured, match=r"AUDITLOG_SECRET_KEY_FILE: .*absent"):
        env.text("AUDITLOG_SECRET_KEY", None, "")


def test_a_value_beside_its_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden")
    env = Environment({"AUDITLOG_A": "open", "AUDITLOG_A_FILE": str(tmp_path / "secret")})
    with pytest.raises(ImproperlyConfigured, match="AUDITLOG_A and AUDITLOG_A_FILE are both set: keep one") as refusal:
        env.text("AUDITLOG_A", None, "")
    assert "hidden" not in str(refusal.value)


def test_an_unknown_name_is_refused_and_foreign_ones_are_not() -> None:
    env = Environment({"AUDITLOG_PROT": "8001", "AUDITLOG_PORT": "8001", "PATH": "/bin", "HOSTNAME": "x"})
    env.integer("AUDITLOG_PORT", 8000, "")
    with pytest.raises(ImproperlyConfigured, match=r"Unknown setting\(s\) AUDITLOG_PROT\."):
        env.refuse_unknown()


class TestEmbeddedAddresses:
    """`use_file_for_absent`: the addresses that the embedded servers leave for commands in other terminals."""

    def test_the_file_fills_in_what_is_absent_only(self, tmp_path: Path) -> None:
        path = tmp_path / "embedded.env"
        path.write_text("REDIS_URL='unix:///a b/redis.sock?db=0'\nDATABASE_URL=postgresql:///embedded\n\nno assignment\n")
        env = Environment({"DATABASE_URL": "postgresql:///own"})
        env.use_file_for_absent(path)
        assert env.text("DATABASE_URL", None, "") == "postgresql:///own"
        assert env.text("REDIS_URL", None, "") == "unix:///a b/redis.sock?db=0"

    def test_a_secret_in_a_file_of_its_own_counts_as_set(self, tmp_path: Path) -> None:
        path = tmp_path / "embedded.env"
        path.write_text("AUDITLOG_SECRET_KEY=embedded\n")
        (tmp_path / "secret").write_text("own")
        env = Environment({"AUDITLOG_SECRET_KEY_FILE": str(tmp_path / "secret")})
        assert env.is_set("AUDITLOG_SECRET_KEY")
        env.use_file_for_absent(path)
        assert env.text("AUDITLOG_SECRET_KEY", None, "") == "own"

    def test_an_absent_file_is_no_error(self, tmp_path: Path) -> None:
        env = Environment({})
        env.use_file_for_absent(tmp_path / "embedded.env")
        assert not env.is_set("DATABASE_URL")


def test_the_reference_has_a_row_for_every_declaration_and_no_value() -> None:
    env = Environment({"DATABASE_URL": "postgresql://app:swordfish@/log"})
    url = env.text("DATABASE_URL", None, "Where PostgreSQL is.")
    env.text("MAINTENANCE_DATABASE_URL", url, "The owner's.", shown_default="DATABASE_URL")
    env.choice("AUDITLOG_ENGINE", ("native", "citus"), "native", "How.")
    page = settings_page(env.declarations)
    assert "| `DATABASE_URL` | text | (required) | Where PostgreSQL is. |" in page
    assert "| `MAINTENANCE_DATABASE_URL` | text | DATABASE_URL | The owner's. |" in page
    assert r"| `AUDITLOG_ENGINE` | native \| citus | native | How. |" in page
    assert "swordfish" not in page


@given(st.integers(min_value=-(2**70), max_value=2**70))
def test_every_whole_number_in_range_is_read_as_itself(number: int) -> None:
    env = Environment({"AUDITLOG_A": str(number)})
    assert env.integer("AUDITLOG_A", 0, "", least=-(2**70)) == number
    assert env.declarations == [Declaration("AUDITLOG_A", "whole number", "0", "")]
