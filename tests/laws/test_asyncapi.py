"""docs/asyncapi.yaml says what the stream's code says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import yaml

from logs.streaming import messages
from logs.streaming.messages import ClientMessage, decode

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "docs/asyncapi.yaml").read_text())
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]
FROM_CLIENTS = {kind.__struct_config__.tag: kind for kind in get_args(ClientMessage)}
FROM_SERVER = {"subscribed", "entry", "batch", "heartbeat", "paused", "gap", "error"}


def named(operation: str) -> set[str]:
    return {message["$ref"].rsplit("/", 1)[1] for message in DOCUMENT["operations"][operation]["messages"]}


def test_every_message_is_described() -> None:
    assert named("ask") == set(FROM_CLIENTS)
    assert named("tell") == FROM_SERVER
    assert set(MESSAGES) == set(DOCUMENT["channels"]["stream"]["messages"]) == named("ask") | named("tell")


@pytest.mark.parametrize("kind", sorted(FROM_CLIENTS))
def test_what_clients_say_has_the_properties_of_the_code(kind: str) -> None:
    described = MESSAGES[kind]["payload"]["properties"]
    assert set(described) == {"type", *FROM_CLIENTS[kind].__struct_fields__}
    for example in MESSAGES[kind]["examples"]:
        assert isinstance(decode(msgspec.json.encode(example["payload"])), FROM_CLIENTS[kind])
    (schema,) = (one for one in msgspec.json.schema(FROM_CLIENTS[kind])["$defs"].values() if one["title"] == FROM_CLIENTS[kind].__name__)
    for name, properties in described.items():
        for limit in ("minLength", "maxLength", "minimum"):
            if limit in properties:
                assert properties[limit] in _values(schema["properties"][name], limit), (name, limit)


def _values(schema: dict[str, Any], limit: str) -> list[Any]:
    return [one[limit] for one in (schema, *schema.get("anyOf", [])) if limit in one]


def test_what_the_server_says_has_the_described_properties() -> None:
    said = [messages.subscribed(1, 2), messages.heartbeat(1, 2, None), messages.gap(2, 1), messages.paused(1)]
    for text in said:
        message = msgspec.json.decode(text)
        described = MESSAGES[message["type"]]["payload"]
        assert set(message) == set(described["properties"]) == set(described["required"])
