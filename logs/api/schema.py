"""OpenAPI for msgspec types: the schema comes from the very types that decode and encode."""

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent

_REFERENCE = "#/components/schemas/{name}"


class StructExtension(OpenApiSerializerExtension):
    """Takes msgspec's JSON Schema of a Struct; nested Structs become components of their own."""

    target_class = "msgspec.Struct"
    match_subclasses = True

    def get_name(self, auto_schema: AutoSchema, direction: str) -> str:
        name: str = self.target.__name__
        return name

    def get_identity(self, auto_schema: AutoSchema, direction: str) -> str:
        return self.get_name(auto_schema, direction)

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        _, components = msgspec.json.schema_components([self.target], ref_template=_REFERENCE)
        translated: dict[str, dict[str, Any]] = {name: to_openapi_30(schema) for name, schema in components.items()}
        own = translated.pop(self.target.__name__)
        for name, schema in translated.items():
            auto_schema.registry.register_on_missing(ResolvedComponent(name, ResolvedComponent.SCHEMA, schema, name))
        return own


def to_openapi_30(schema: Any) -> Any:
    """JSON Schema 2020-12 as OpenAPI 3.0.3 has it: `nullable` for null, one `example`, no `null` default, no empty `required`."""
    if isinstance(schema, list):
        return [to_openapi_30(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "anyOf" and {"type": "null"} in value:
            rest = [to_openapi_30(option) for option in value if option != {"type": "null"}]
            only = rest[0] if len(rest) == 1 else {"anyOf": rest}
            # A reference may have no neighbours in OpenAPI 3.0.
            found |= {"allOf": [only], "nullable": True} if "$ref" in only else only | {"nullable": True}
        elif name == "examples":
            found["example"] = value[0]
        elif name == "properties":
            found[name] = {key: to_openapi_30(item) for key, item in value.items()}
        elif name == "prefixItems":
            # OpenAPI 3.0 has no tuples; ours have one kind of item.
            found["items"] = to_openapi_30(value[0])
        elif name == "title" or (name == "default" and value is None) or (name == "required" and not value) or (name == "items" and value is False):
            continue
        else:
            found[name] = to_openapi_30(value)
    if "enum" in found and "type" not in found:
        found["type"] = "string"
    return found
