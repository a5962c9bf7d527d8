"""Sigma rules as alert rules: whole ones in the style of those that are shared, and every part that does not fit, by its path."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
import yaml

from accounts.problems import Invalid
from logs.alerts.conditions import EveryMatch, Threshold
from logs.alerts.sigma import ImportedRule, read_rules
from logs.alerts.sigma.detection import NOTE_CASE, NOTE_NULL, NOTE_WORDS

NOW = datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)
ROOT_LOGIN = """
title: Console Login Of The Root Account
id: 5a1f0c56-9f0e-4f5b-8e1b-0d8c3f3a2b11
status: stable
description: Somebody signed in to the console as root, and not from the office.
references:
    - https://docs.example/root-account
author: The Security Team
date: 2026-01-10
tags:
    - attack.privilege-escalation
    - attack.t1078.004
logsource:
    product: aws
    service: cloudtrail
detection:
    selection:
        eventSource: signin.amazonaws.com
        eventName: ConsoleLogin
        userIdentity.type: Root
    filter_office:
        sourceIPAddress|cidr:
            - 192.0.2.0/24
            - 198.51.100.0/24
    filter_break_glass:
        userIdentity.arn|startswith: 'arn:aws:iam::123456789012:role/break-glass'
    condition: selection and not 1 of filter_*
falsepositives:
    - The yearly exercise
level: high
"""
TRAIL_STOPPED = """
title: CloudTrail Switched Off Or Changed
logsource: {product: aws, service: cloudtrail}
detection:
    by_name:
        eventSource: cloudtrail.amazonaws.com
        eventName: [StopLogging, UpdateTrail, DeleteTrail]
    failed:
        errorCode|exists: true
    condition: by_name and not failed
level: medium
"""
GUESSING = """
title: Failed Console Login
name: failed_login
logsource: {product: aws, service: cloudtrail}
detection:
    selection: {eventName: ConsoleLogin, responseElements.ConsoleLogin: Failure}
    condition: selection
---
title: Password Guessing At The Console
correlation:
    type: event_count
    rules: [failed_login]
    group-by: [who, sourceIPAddress]
    timespan: 10m
    condition: {gte: 20}
    aliases:
        who: {failed_login: userIdentity.arn}
level: critical
"""


def only(text: str, **fields: str) -> ImportedRule:
    (found,) = read_rules(text, fields, NOW)
    return found


def refused(text: str, **fields: str) -> dict[str, tuple[str, str]]:
    """Code and detail of each fault by its pointer."""
    with pytest.raises(Invalid) as error:
        read_rules(text, fields, NOW)
    return {fault.pointer: (fault.code, fault.detail) for fault in error.value.faults}


def rule(selections: dict[str, Any], **others: Any) -> str:
    return yaml.safe_dump({"title": "A rule", "logsource": {"product": "test"}, "detection": {"condition": "selection"} | selections} | others, sort_keys=False)


def query(selection: Any, **fields: str) -> str:
    return only(rule({"selection": selection}), **fields).new.query


def reason(selection: Any) -> str:
    ((pointer, (code, detail)),) = refused(rule({"selection": selection})).items()
    assert pointer.startswith("/sigma/0/detection/selection")
    assert code == "sigma_unfit"
    return detail


def test_a_rule_becomes_query_severity_and_description() -> None:
    found = only(ROOT_LOGIN)
    assert found.new.query == (
        '(resource_type:"signin" action:"CONSOLE_LOGIN" metadata.userIdentity.type:"Root") '
        '-(ip_address:("192.0.2.0/24" OR "198.51.100.0/24") OR user_id:"arn:aws:iam::123456789012:role/break-glass"*)'
    )
    assert (found.new.name, found.new.severity, found.new.condition, found.new.group_by) == ("Console Login Of The Root Account", "ERROR", EveryMatch(), ())
    for told in (
        "not from the office.",
        "5a1f0c56-9f0e",
        "The Security Team",
        "product aws, service cloudtrail",
        "The yearly exercise",
        "docs.example",
        "t1078.004",
    ):
        assert told in found.new.description
    assert found.mapped == {
        "eventSource": "resource_type",
        "eventName": "action",
        "userIdentity.type": "metadata.userIdentity.type",
        "sourceIPAddress": "ip_address",
        "userIdentity.arn": "user_id",
    }
    assert NOTE_CASE in found.notes


def test_several_values_and_existence() -> None:
    found = only(TRAIL_STOPPED)
    wanted = '(resource_type:"cloudtrail" action:("STOP_LOGGING" OR "UPDATE_TRAIL" OR "DELETE_TRAIL")) -metadata.errorCode:*'
    assert (found.new.query, found.new.severity) == (wanted, "WARNING")


def test_a_correlation_counts_what_another_rule_finds() -> None:
    found = only(GUESSING)
    assert found.document == 1
    assert found.new.query == 'action:"CONSOLE_LOGIN" metadata.responseElements.ConsoleLogin:"Failure"'
    assert (found.new.condition, found.new.group_by, found.new.severity) == (Threshold(20, 600), ["user_id", "ip_address"], "CRITICAL")


def test_what_a_correlation_counts_is_a_rule_too_if_it_says_so() -> None:
    found = read_rules(GUESSING.replace("timespan: 10m", "timespan: 10m\n    generate: true"), {}, NOW)
    assert [(one.new.name, one.new.condition) for one in found] == [
        ("Failed Console Login", EveryMatch()),
        ("Password Guessing At The Console", Threshold(20, 600)),
    ]


@pytest.mark.parametrize(
    ("changed", "to", "pointer", "reason"),
    [
        ("event_count", "temporal", "type", "event_count is"),
        ("condition: {gte: 20}", "condition: {lt: 20}", "condition", "gte or gt"),
        ("condition: {gte: 20}", "condition: {eq: 20}", "condition", "gte or gt"),
        ("condition: {gte: 20}", "condition: {gte: 20000}", "condition", "up to 1000"),
        ("condition: {gte: 20}", "condition: {gte: 2.5}", "condition", "whole numbers"),
        ("10m", "8d", "timespan", "7 days"),
        ("sourceIPAddress]", "userIdentity.type]", "group-by/1", "none of the fields"),
        ("[failed_login]", "[other]", "rules/0", "no rule 'other'"),
        ("timespan: 10m", "timespan: soon", "", "Timespan"),
    ],
)
def test_a_correlation_that_does_not_fit_says_where(changed: str, to: str, pointer: str, reason: str) -> None:
    found = refused(GUESSING.replace(changed, to))
    code, detail = found[f"/sigma/1/correlation/{pointer}".rstrip("/")]
    assert code == "sigma_unfit"
    assert reason in detail


def test_counting_more_than_and_once() -> None:
    assert only(GUESSING.replace("gte: 20", "gt: 20")).new.condition == Threshold(21, 600)
    assert only(GUESSING.replace("gte: 20", "gte: 1")).new.condition == EveryMatch()


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"a": "x"}, 'metadata.a:"x"'),
        ({"a": ["x", "y"]}, 'metadata.a:("x" OR "y")'),
        ({"a|all": ["x*", "y"]}, 'metadata.a:"x"* metadata.a:"y"'),
        ({"a|startswith": "x"}, 'metadata.a:"x"*'),
        ({"a|cased": "X"}, 'metadata.a:"X"'),
        ({"a|neq": ["x", "y"]}, '-metadata.a:("x" OR "y")'),
        ({"a|base64": "foo"}, 'metadata.a:"Zm9v"'),
        ({"a|windash": "-x"}, 'metadata.a:("-x" OR "/x" OR "–x" OR "—x" OR "―x")'),
        ({"a": 7}, 'metadata.a:"7"'),
        ({"a": 7.5}, 'metadata.a:"7.5"'),
        ({"a": True}, 'metadata.a:"true"'),
        ({"a": ""}, 'metadata.a:""'),
        ({"a": "*"}, "metadata.a:*"),
        ({"a|gte": 5, "a|lt": -7.5}, "metadata.a:>=5 metadata.a:<-7.5"),
        ({"a": None}, '-metadata.a:* OR metadata.a:"null"'),
        ({"a|exists": False}, "-metadata.a:*"),
        ({"a.b c.d": 'x "y" \\z'}, 'metadata.a."b c".d:"x \\"y\\" \\\\z"'),
        ({"a": "1\\*2"}, 'metadata.a:"1*2"'),
        ({"user_id": None}, "-user_id:*"),
        ({"resource_id": "*"}, "resource_id:*"),
        ({"ip_address": None}, '-ip_address:("0.0.0.0/0" OR "::/0")'),
        ({"src_ip": "10.0.3.17"}, 'ip_address:"10.0.3.17"'),
        ({"severity": ["ERROR", "critical"]}, 'severity:("ERROR" OR "critical")'),
        ({"outcome": "failure"}, 'outcome:"failure"'),
        ({"sourceIPAddress": "ec2.amazonaws.com"}, 'metadata.sourceIPAddress:"ec2.amazonaws.com"'),
        ({"eventName": "Put*"}, 'metadata.eventName:"Put"*'),
        ({"eventName": "GetDBInstance"}, 'action:"GET_DB_INSTANCE"'),
        (["foo", "bar*"], '"foo" OR "bar"*'),
        ("a word", '"a word"'),
        ({"|all": ["foo", "bar"]}, '"foo" "bar"'),
        ([{"a": "x"}, {"a": "y", "b": "z"}], 'metadata.a:"x" OR (metadata.a:"y" metadata.b:"z")'),
    ],
)  # fmt: skip
def test_an_item_as_a_query(selection: Any, expected: str) -> None:
    assert query(selection) == expected


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        ({"a|re": "x.*"}, "no regular expressions"),
        ({"a|re|i": "x.*"}, "no regular expressions"),
        ({"a|contains": "x"}, "in the middle"),
        ({"a|contains|all": ["x", "y"]}, "in the middle"),
        ({"a|base64offset|contains": "x"}, "in the middle"),
        ({"a|endswith": "x"}, "by its end"),
        ({"a": "*x"}, "at the end of a value only"),
        ({"a": "x*y"}, "at the end of a value only"),
        ({"a": "x?"}, "? nowhere"),
        ({"a|fieldref": "b"}, "can't be compared"),
        ({"a|expand": "%admins%"}, "no lists"),
        ({"a|hour": 5}, "part of it"),
        ({"a|wide": "x"}, "NUL"),
        ({"a|cidr": "10.0.0.0/8"}, "in ip_address alone"),
        ({"src_ip|cidr": "10.0.0.1/8"}, "CIDR"),
        ({"src_ip|startswith": "10."}, "or by a network"),
        ({"src_ip": "nowhere"}, "no IP address"),
        ({"user_id": ""}, "never empty"),
        ({"user_id|gt": 5}, "in metadata alone"),
        ({"user_id": True}, "can't be asked of user_id"),
        ({"severity": "loud"}, "none of"),
        ({"severity": None}, "every entry has"),
        ({"action": "a b"}, "no name of an action"),
        ({"userAgent": "curl"}, "can't be asked for"),
        ({"a": []}, "is empty"),
        ({"a": [["x"]]}, "a value is"),
        ({"a": {"b": "x"}}, "a value is"),
        ({"a|nonsense": "x"}, "nonsense"),
        ({"a" + "|base64" * 60: "xxx"}, "may be given once"),
        ({"a|windash": [" -a -b -c"]}, "more than 100 values"),
        ({"a": [str(number) for number in range(101)]}, "more than 100 values"),
        ({"a|gt": "x"}, "read as Sigma"),
        ({"a.b.c.d.e.f.g.h.i": "x"}, "8 keys"),
        ({5: "x"}, "has to be a text"),
        ({}, "is empty"),
        (["*x*"], "at the end of a value only"),
        (["."], "no letter or digit"),
        ({"|contains": "x"}, "in the middle"),
        (None, "a keyword is a text"),
    ],
)
def test_an_item_that_does_not_fit_is_named_with_the_reason(selection: Any, told: str) -> None:
    assert told.lower() in reason(selection).lower()


def test_every_part_that_does_not_fit_is_named() -> None:
    selection = {"ok": 1, "a|re": "x", "b~/c|contains": "y"}
    found = refused(rule({"selection": selection, "other": [{"d|endswith": "z"}, {"e": 1}], "unused": {"f|re": "x"}, "condition": "selection or other"}))
    assert set(found) == {
        "/sigma/0/detection/selection/a|re",
        "/sigma/0/detection/selection/b~0~1c|contains",
        "/sigma/0/detection/other/0/d|endswith",
    }


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a or b and not c", 'metadata.a:"1" OR (metadata.b:"1" -metadata.c:"1")'),
        ("not (a or b)", '-(metadata.a:"1" OR metadata.b:"1")'),
        ("not not a", 'metadata.a:"1"'),
        ("all of them", 'metadata.a:"1" metadata.b:"1" metadata.c:"1"'),
        ("1 of x*", 'metadata._x:"1"'),
        (["a", "b"], 'metadata.a:"1" OR metadata.b:"1"'),
    ],
)
def test_conditions(condition: Any, expected: str) -> None:
    names = ["x1"] if condition == "1 of x*" else ["a", "b", "c"]
    fields = {name: {("_x" if name == "x1" else name): 1} for name in names}
    assert only(rule(fields | {"_hidden": {"h": 1}, "condition": condition})).new.query == expected


@pytest.mark.parametrize(
    "condition",
    ["", "b", "1 of b*", "a and", "a | count() > 5", "(" * 200 + "a" + ")" * 200, "not " * 200 + "a", 5, None, ["a", 5], "a and " * 500 + "a", ["a"] * 2_000],
)
def test_a_condition_that_can_not_be_read_is_refused(condition: Any) -> None:
    assert list(refused(rule({"a": {"x": 1}, "condition": condition}))) == ["/sigma/0/detection/condition"]


def test_fields_are_what_the_admin_says() -> None:
    fields = {"eventName": "action", "TargetUser": "resource_id", "userIdentity.type": 'metadata.who."a kind"'}
    found = only(rule({"selection": {"eventName": "ConsoleLogin", "TargetUser": "bob", "userIdentity.type": "Root"}}), **fields)
    assert found.new.query == 'action:"ConsoleLogin" resource_id:"bob" metadata.who."a kind":"Root"'
    assert found.mapped["userIdentity.type"] == 'metadata.who."a kind"'


@pytest.mark.parametrize(
    "target", ["", "nowhere", "metadata", "metadata.", "user", "metadata.a:b", "-metadata.a", 'metadata.a:"x" OR user', "message", "before"]
)
def test_a_field_that_there_is_not_is_refused(target: str) -> None:
    assert refused(rule({"selection": {"a": 1}}), a=target)["/fields/a"][0] == "unknown_field"


def test_what_is_not_quite_the_same_is_said() -> None:
    assert NOTE_NULL in only(rule({"selection": {"a": None}})).notes
    assert NOTE_WORDS in only(rule({"selection": ["word"]})).notes
    assert NOTE_CASE not in only(rule({"selection": {"a|cased": "X", "b": 5, "c": "---", "action": "LOGIN"}})).notes


@pytest.mark.parametrize(
    ("text", "pointer", "code"),
    [
        ("", "/sigma", "empty"),
        ("---\n---\n", "/sigma", "empty"),
        ("a: [", "/sigma", "bad_yaml"),
        ("a: &x [1]\nb: *x", "/sigma", "bad_yaml"),
        ("a: !!python/object/apply:os.system [x]", "/sigma", "bad_yaml"),
        ("a: 1\na: 2", "/sigma", "bad_yaml"),
        ("? [a]\n: b", "/sigma", "bad_yaml"),
        ("a: 2026-13-45", "/sigma", "bad_yaml"),
        ("a: " + "9" * 5_000, "/sigma", "bad_yaml"),
        ('a: "\\uD800"', "/sigma", "bad_yaml"),
        ("[" * 5_000, "/sigma", "sigma_too_large"),
        ("[" + "1," * 30_000 + "]", "/sigma", "sigma_too_large"),
        ("---\na: 1\n" * 60, "/sigma", "sigma_too_large"),
        ("a" * 300_000, "/sigma", "too_long"),
        ("a text", "/sigma/0", "bad_yaml"),
        ("- a list", "/sigma/0", "bad_yaml"),
        ("1: one", "/sigma/0", "bad_yaml"),
        ("action: global\ntitle: x", "/sigma/0/action", "sigma_unfit"),
        ("title: x\nfilter: {rules: any}", "/sigma/0/filter", "sigma_unfit"),
    ],
)  # fmt: skip
def test_text_that_is_no_rule_is_refused(text: str, pointer: str, code: str) -> None:
    found = refused(text)
    assert found[pointer][0] == code


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"title": None}, "/sigma/0"),
        ({"title": "x" * 300}, "/sigma/0"),
        ({"title": "x" * 250}, "/sigma/0/title"),
        ({"title": "a\x00b"}, "/sigma/0/title"),
        ({"id": 5}, "/sigma/0"),
        ({"level": "loud"}, "/sigma/0"),
        ({"level": 5}, "/sigma/0"),
        ({"logsource": None}, "/sigma/0/logsource"),
        ({"logsource": {}}, "/sigma/0/logsource"),
        ({"logsource": ["aws"]}, "/sigma/0/logsource"),
        ({"detection": None}, "/sigma/0/detection"),
        ({"detection": ["x"]}, "/sigma/0/detection"),
        ({"detection": {"selection": {"a": [str(n) for n in range(150)]}, "condition": "selection"}}, "/sigma/0/detection/selection/a"),
        ({"detection": {"s1": {"a": "x" * 3_000}, "s2": {"b": "x" * 3_000}, "condition": "s1 and s2"}}, "/sigma/0/detection"),
    ],
)
def test_a_rule_that_no_alert_rule_can_be_is_refused(changed: dict[str, Any], pointer: str) -> None:
    assert pointer in refused(rule({"selection": {"a": 1}}, **changed))


@pytest.mark.parametrize(
    ("level", "severity"), [("informational", "INFO"), ("low", "INFO"), ("medium", "WARNING"), ("high", "ERROR"), ("critical", "CRITICAL")]
)
def test_severity_is_that_of_the_level(level: str, severity: str) -> None:
    assert only(rule({"selection": {"a": 1}}, level=level)).new.severity == severity


def test_a_long_description_is_cut() -> None:
    assert len(only(rule({"selection": {"a": 1}}, description="x" * 5_000)).new.description) == 2_000


def test_of_very_many_faults_the_first_are_told() -> None:
    with pytest.raises(Invalid) as error:
        read_rules(rule({"selection": {f"f{number}|re": "x" for number in range(3_000)}}), {}, NOW)
    assert len(error.value.faults) == 101
    assert error.value.faults[-1].detail == "2900 more parts do not fit."
