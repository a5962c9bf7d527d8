"""From a foreign document to an entry: what goes where, and which documents can't become one."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest

from logs.imports.formats import FORMATS, NoEntry, cloudtrail, ndjson
from logs.imports.reading import Document
from logs.ingest.entry_input import EntryInput
from tests.web import CHECKOUT

SAMPLE = CHECKOUT / "docs" / "examples" / "cloudtrail-sample.ndjson"
EVENT: dict[str, Any] = {
    "eventVersion": "1.08",
    "userIdentity": {"type": "IAMUser", "principalId": "AIDA1", "arn": "arn:aws:iam::111122223333:user/amelia", "accessKeyId": "KEY1", "userName": "amelia"},
    "eventTime": "2025-03-11T08:00:00Z",
    "eventSource": "ssm.amazonaws.com",
    "eventName": "DeleteParameter",
    "awsRegion": "eu-central-1",
    "sourceIPAddress": "203.0.113.24",
    "userAgent": "aws-cli/2.15.0",
    "requestParameters": {"name": "/shop/flag", "type": "String"},
    "responseElements": None,
    "requestID": "r-1",
    "eventID": "e-1",
    "readOnly": False,
}


def entry_of(**changes: Any) -> dict[str, Any]:
    """The entry that `EVENT` becomes with `changes`; a change to `...` leaves the key out."""
    event = {name: value for name, value in {**EVENT, **changes}.items() if value is not ...}
    return cloudtrail(Document(1, json.dumps(event).encode(), event))


def test_a_cloudtrail_event_keeps_all_it_says() -> None:
    assert entry_of() == {
        "timestamp": "2025-03-11T08:00:00Z",
        "user_id": "arn:aws:iam::111122223333:user/amelia",
        "action": "DELETE_PARAMETER",
        "resource_type": "ssm",
        "resource_id": "/shop/flag",
        "request_id": "r-1",
        "session_id": "KEY1",
        "user_agent": "aws-cli/2.15.0",
        "ip_address": "203.0.113.24",
        "severity": "INFO",
        "outcome": "success",
        "idempotency_key": "cloudtrail:e-1",
        "metadata": {name: EVENT[name] for name in ("eventVersion", "userIdentity", "eventSource", "eventName", "awsRegion", "requestParameters", "readOnly")},
    }


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("DeleteParameter", "DELETE_PARAMETER"),
        ("ConsoleLogin", "CONSOLE_LOGIN"),
        ("DescribeDBInstances", "DESCRIBE_DB_INSTANCES"),
        ("GetMFADevice", "GET_MFA_DEVICE"),
        ("PutObjectV2", "PUT_OBJECT_V2"),
        ("ListObjects20150301", "LIST_OBJECTS20150301"),
        ("REST.GET.OBJECT", "REST.GET.OBJECT"),
        ("Reserved Instance", "RESERVED_INSTANCE"),
    ],
)
def test_an_event_s_name_becomes_words_in_upper_case(name: str, action: str) -> None:
    assert entry_of(eventName=name)["action"] == action


@pytest.mark.parametrize(
    ("code", "severity"),
    [
        ("AccessDenied", "ERROR"),
        ("AccessDeniedException", "ERROR"),
        ("Client.UnauthorizedOperation", "ERROR"),
        ("ThrottlingException", "WARNING"),
        ("NoSuchKey", "WARNING"),
    ],
)
def test_a_call_that_failed_says_how_grave_that_is(code: str, severity: str) -> None:
    entry = entry_of(errorCode=code, errorMessage="No.")
    assert (entry["outcome"], entry["severity"], entry["message"]) == ("failure", severity, "No.")
    assert entry["metadata"]["errorCode"] == code


@pytest.mark.parametrize(
    ("identity", "user_id"),
    [
        ({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, "ec2.amazonaws.com"),
        ({"type": "AWSAccount", "accountId": "111122223333", "principalId": "AIDA2"}, "AIDA2"),
        ({"type": "Unknown"}, "Unknown"),
        ({}, "unknown"),
        (None, "unknown"),
        (..., "unknown"),
    ],
)
def test_the_actor_is_the_most_telling_name_of_the_identity(identity: Any, user_id: str) -> None:
    assert entry_of(userIdentity=identity)["user_id"] == user_id


@pytest.mark.parametrize(
    ("resources", "parameters", "resource_id"),
    [
        ([{"ARN": "arn:aws:s3:::assets"}], {"bucketName": "other"}, "arn:aws:s3:::assets"),
        ([{"ARNPrefix": "arn:aws:s3:::logs/"}], None, "arn:aws:s3:::logs/"),
        ([{"type": "AWS::S3::Bucket"}], {"bucketName": "assets"}, "assets"),
        ([], {"roleName": "nightly", "name": ""}, "nightly"),
        (None, {"instancesSet": {"items": []}}, None),
        (None, {"name": ["a", "b"]}, None),
        (None, None, None),
        ("odd", "odd", None),
    ],
)
def test_the_resource_is_what_the_call_is_about(resources: Any, parameters: Any, resource_id: str | None) -> None:
    assert entry_of(resources=resources, requestParameters=parameters).get("resource_id") == resource_id


@pytest.mark.parametrize("address", ["AWS Internal", "ec2.amazonaws.com", "", None])
def test_a_source_that_is_no_address_stays_in_the_metadata(address: str | None) -> None:
    entry = entry_of(sourceIPAddress=address)
    assert "ip_address" not in entry
    assert entry["metadata"].get("sourceIPAddress") == address


def test_a_v6_source_is_an_address() -> None:
    assert entry_of(sourceIPAddress="2001:db8::1")["ip_address"] == "2001:db8::1"


@pytest.mark.parametrize("name", ["eventName", "eventSource", "eventID", "eventTime"])
def test_a_document_without_what_every_event_has_is_no_entry(name: str) -> None:
    with pytest.raises(NoEntry, match=name):
        entry_of(**{name: ...})


@pytest.mark.parametrize(
    "changes", [{"userIdentity": "amelia"}, {"userIdentity": ["amelia"]}, {"errorCode": 403}, {"errorCode": {"code": "x"}}, {"resources": {"ARN": "x"}}]
)
def test_an_event_with_odd_values_does_not_end_the_import(changes: dict[str, Any]) -> None:
    """It is an entry or `NoEntry`; any other exception would end the import of all the others."""
    with contextlib.suppress(NoEntry):
        assert entry_of(**changes)["idempotency_key"] == "cloudtrail:e-1"


def test_every_event_of_the_sample_is_an_entry_that_the_service_takes() -> None:
    for number, line in enumerate(SAMPLE.read_bytes().splitlines(), start=1):
        entry = cloudtrail(Document(number, line, json.loads(line)))
        assert msgspec.json.decode(msgspec.json.encode(entry), type=EntryInput).idempotency_key == entry["idempotency_key"]


def test_our_own_entries_stay_as_they_are_and_get_a_key_of_their_content() -> None:
    entry = {"user_id": "alice", "action": "LOGIN", "metadata": {"b": 1, "a": 2}}

    def key_of(value: dict[str, Any]) -> str:
        found = ndjson(Document(1, b"", value))
        assert {name: found[name] for name in value} == value
        key: str = found["idempotency_key"]
        return key

    assert key_of(entry) == key_of({"metadata": {"a": 2, "b": 1}, "action": "LOGIN", "user_id": "alice"})
    assert key_of(entry) != key_of(entry | {"user_id": "bob"})
    assert key_of(entry | {"idempotency_key": "mine"}) == "mine"


def test_a_key_that_is_null_is_no_key() -> None:
    entry = {"user_id": "alice", "action": "LOGIN", "idempotency_key": None}
    assert ndjson(Document(1, b"", entry))["idempotency_key"].startswith("ndjson:")


def test_the_formats_have_names() -> None:
    assert FORMATS == {"cloudtrail": cloudtrail, "ndjson": ndjson}
