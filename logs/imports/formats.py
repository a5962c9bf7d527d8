"""From a foreign document to an entry as the API takes it."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from logs.event_names import action_of, resource_type_of
from logs.imports.reading import Document

# Parameters that name the thing that a call is about, the most telling first.
_RESOURCE_PARAMETERS = (
    "name", "bucketName", "roleName", "userName", "groupName", "policyArn", "functionName", "secretId", "keyId", "trailName",
    "dBInstanceIdentifier", "instanceId", "groupId", "subnetId", "vpcId", "roleArn", "resourceArn", "parameterName",
)  # fmt: skip
_TAKEN = {"eventTime", "eventID", "requestID", "userAgent", "errorMessage"}
_DENIED = re.compile(r"AccessDenied|Unauthorized|Forbidden")


class NoEntry(Exception):
    """The document can't become an entry. The message says why."""


def cloudtrail(document: Document) -> dict[str, Any]:
    """An AWS CloudTrail event as an entry; its `eventID` is the idempotency key. Raises NoEntry.

    Action: the event's name in words, `DeleteParameter` -> `DELETE_PARAMETER`. Severity: ERROR for a call that was
    denied, WARNING for one that failed otherwise. What has no field of its own stays as it is in `metadata`.
    """
    event = document.value
    try:
        name, source, event_id, time = (str(event[key]) for key in ("eventName", "eventSource", "eventID", "eventTime"))
    except KeyError as error:
        raise NoEntry(f"a CloudTrail event has {error}; this one has not") from error
    identity = found if isinstance(found := event.get("userIdentity"), dict) else {}
    error_code = event.get("errorCode")
    entry: dict[str, Any] = {
        "timestamp": time,
        "user_id": _actor(identity),
        "action": action_of(name),
        "resource_type": resource_type_of(source),
        "resource_id": _resource_id(event),
        "request_id": event.get("requestID"),
        "session_id": identity.get("accessKeyId"),
        "user_agent": event.get("userAgent"),
        "severity": "INFO" if not error_code else "ERROR" if _DENIED.search(str(error_code)) else "WARNING",
        "outcome": "failure" if error_code else "success",
        "message": event.get("errorMessage"),
        "idempotency_key": f"cloudtrail:{event_id}",
        "metadata": {key: value for key, value in event.items() if key not in _TAKEN and value is not None},
    }
    address = str(event.get("sourceIPAddress") or "")
    if _is_address(address):
        entry["ip_address"] = address
        del entry["metadata"]["sourceIPAddress"]
    return {key: value for key, value in entry.items() if value not in (None, "")}


def ndjson(document: Document) -> dict[str, Any]:
    """One of our own entries. Without an idempotency key it gets one from its content, so that it is stored once."""
    entry = document.value
    if entry.get("idempotency_key") is not None:
        return entry
    return entry | {"idempotency_key": f"ndjson:{hashlib.sha256(msgspec.json.encode(entry, order='deterministic')).hexdigest()[:40]}"}


FORMATS: Mapping[str, Callable[[Document], dict[str, Any]]] = {"cloudtrail": cloudtrail, "ndjson": ndjson}


def _actor(identity: Mapping[str, Any]) -> str:
    for key in ("arn", "principalId", "invokedBy", "accountId", "type"):
        if identity.get(key):
            return str(identity[key])
    return "unknown"


def _resource_id(event: Mapping[str, Any]) -> str | None:
    resources = event.get("resources")
    if isinstance(resources, list) and resources and isinstance(resources[0], dict):
        named = resources[0].get("ARN") or resources[0].get("ARNPrefix")
        if named:
            return str(named)
    parameters = event.get("requestParameters")
    if isinstance(parameters, dict):
        for key in _RESOURCE_PARAMETERS:
            value = parameters.get(key)
            if isinstance(value, str) and value:
                return value
    return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
