"""The OpenAPI document: valid, complete, and of one piece with the types that decode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import yaml
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from logs.ingest.entry_input import EntryInput
from tests.api import Api


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    GENERATOR_STATS.reset()
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    assert not GENERATOR_STATS, "drf-spectacular warns of something"
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_document_is_valid_openapi_3_0(document: dict[str, Any]) -> None:
    validate_schema(document)
    assert document["openapi"].startswith("3.0.")


def test_document_is_served() -> None:
    answer = Api(None).get("/api/v1/schema")
    assert answer.status_code == 200
    assert yaml.safe_load(answer.content)["info"]["title"] == "Audit log API"


def test_every_operation_has_examples_of_request_answer_and_error(document: dict[str, Any]) -> None:
    missing = []
    for name, operation in operations(document):
        if name.endswith("/schema"):
            continue
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            if not content.get("examples"):
                missing.append(f"{name}: request {kind}")
        answers = operation["responses"]
        for status, answer in answers.items():
            for kind, content in answer.get("content", {}).items():
                if not content.get("examples"):
                    missing.append(f"{name}: answer {status} {kind}")
        errors = [status for status in answers if status[0] in "45"]
        if not errors or any("application/problem+json" not in answers[status]["content"] for status in errors):
            missing.append(f"{name}: errors {errors}")
    assert missing == []


def test_examples_of_entries_are_entries(document: dict[str, Any]) -> None:
    content = document["paths"]["/api/v1/logs"]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        msgspec.json.decode(msgspec.json.encode(example["value"]), type=EntryInput)


def test_entry_has_the_fields_of_the_type_that_decodes_it(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["EntryInputRequest"]
    assert set(schema["properties"]) == set(EntryInput.__struct_fields__)
    assert set(schema["required"]) == {"user_id", "action", "resource_type"}
    assert schema["additionalProperties"] is False
    assert schema["properties"]["severity"]["nullable"] is True


def test_every_filter_is_documented(document: dict[str, Any]) -> None:
    names = {parameter["name"] for parameter in document["paths"]["/api/v1/logs"]["get"]["parameters"]}
    assert {"from", "to", "user_id", "action", "resource_type", "resource_id", "severity", "severity_min", "outcome", "request_id", "session_id",
            "ip_address", "limit", "cursor"} <= names  # fmt: skip
