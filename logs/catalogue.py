"""The action catalogue as ingest and reading use it: per tenant, compiled, and looked up again every few seconds.

A tenant whose mode is `off` costs one dictionary look-up a request. Schemas can't reach the network (references to
other documents are refused when a schema is saved), and their patterns run in linear time.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs
import msgspec
from django.conf import settings

from accounts.problems import Fault, escape_pointer
from logs.models import ActionDefinition, ActionSchema, CatalogueMode, LogSettings, Severity
from logs.schema_bounds import check_bounds

_PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_.-]+)\}")


def _refuse_reference(uri: str) -> Any:
    raise ValueError(f"{uri} can't be fetched: a schema has to be whole in itself.")


def compile_schema(schema: Any) -> jsonschema_rs.Validator:
    """A validator for a JSON Schema, whose messages don't quote values. Raises ValueError if it is none, or refers to another document."""
    if not isinstance(schema, dict):
        raise ValueError("A JSON Schema has to be an object.")
    try:
        return jsonschema_rs.validator_for(schema, retriever=_refuse_reference, pattern_options=jsonschema_rs.RegexOptions(), mask="the value")
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        raise ValueError(str(error).split("\n")[0]) from error


def check_schema(schema: Any) -> None:
    """Raises ValueError unless `schema` may be saved: a JSON Schema, whole in itself, that no entry can keep a process busy with."""
    if isinstance(schema, dict):
        check_bounds(schema)
    compile_schema(schema)


@dataclass(frozen=True, slots=True)
class Finding:
    """What the catalogue says of one entry."""

    faults: tuple[Fault, ...] = ()
    default_severity: str | None = None


@dataclass(frozen=True, slots=True)
class _Action:
    default_severity: str | None
    validator: jsonschema_rs.Validator | None
    title_template: str


@dataclass(frozen=True, slots=True)
class EncryptionSettings:
    """What of a tenant's entries is encrypted. `subject_key`: the metadata key that names the data subject; empty: the user is."""

    fields: frozenset[str] = frozenset()
    metadata_keys: frozenset[str] = frozenset()
    subject_key: str = ""
    pseudonymises_users: bool = False


@dataclass(frozen=True, slots=True)
class TenantCatalogue:
    """One tenant's settings for its log and its described actions."""

    id_secret: bytes
    mode: CatalogueMode
    actions: dict[str, _Action] = field(default_factory=dict)
    encryption: EncryptionSettings = EncryptionSettings()

    @property
    def is_checked(self) -> bool:
        return self.mode != CatalogueMode.OFF

    @property
    def is_enforced(self) -> bool:
        return self.mode == CatalogueMode.ENFORCE

    @property
    def has_titles(self) -> bool:
        """Does any action say how its entries read?"""
        return any(action.title_template for action in self.actions.values())

    def look_up(self, action: str, metadata: bytes | None, pointer: str) -> Finding:
        """Check an entry's action and metadata. `pointer` is the entry's place in the body."""
        known = self.actions.get(action)
        if known is None:
            return Finding((Fault(pointer + "/action", "unknown_action", f"The action {action!r} is not in the tenant's catalogue."),))
        found: tuple[Fault, ...] = ()
        if known.validator is not None:
            value = msgspec.json.decode(metadata) if metadata is not None else {}
            error = next(iter(known.validator.iter_errors(value)), None)
            if error is not None:
                place = "".join("/" + escape_pointer(str(step)) for step in error.instance_path)
                found = (Fault(f"{pointer}/metadata{place}", "metadata_does_not_fit", error.message),)
        return Finding(found, known.default_severity)

    def title(self, action: str, values: Mapping[str, str | None], metadata: bytes | None) -> str | None:
        """How an entry reads by its action's template, or None if there is no template. Unknown names stay as they are."""
        known = self.actions.get(action)
        if known is None or not known.title_template:
            return None
        return render_title(known.title_template, values, metadata)

    def title_of(self, user_id: str, action: str, resource_type: str, resource_id: str | None, metadata: str | None) -> str | None:
        """The title of a stored entry; `metadata` as JSON text."""
        named = {"user": user_id, "action": action, "resource_type": resource_type, "resource_id": resource_id, "resource": resource_id or resource_type}
        return self.title(action, named, metadata.encode() if metadata else None)


def render_title(template: str, values: Mapping[str, str | None], metadata: bytes | None) -> str:
    """`template` with `{user}`, `{resource}`, `{metadata.<key>}` ... replaced; a value that is absent becomes a dash."""
    parsed: Any = None

    def value_of(match: re.Match[str]) -> str:
        nonlocal parsed
        name = match[1]
        if name.startswith("metadata."):
            if parsed is None:
                parsed = msgspec.json.decode(metadata) if metadata else {}
            value = parsed.get(name.removeprefix("metadata."))
            return "–" if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return (values[name] or "–") if name in values else match[0]

    return _PLACEHOLDER.sub(value_of, template)


_cached: dict[uuid.UUID, tuple[float, TenantCatalogue]] = {}


def catalogue_of(tenant_id: uuid.UUID) -> TenantCatalogue:
    """The tenant's catalogue, at most `AUDITLOG_CREDENTIAL_CACHE_SECONDS` old."""
    hit = _cached.get(tenant_id)
    now = time.monotonic()
    if hit is not None and hit[0] > now:
        return hit[1]
    found = _load(tenant_id)
    _cached[tenant_id] = (now + settings.AUDITLOG_CREDENTIAL_CACHE_SECONDS, found)
    return found


def forget() -> None:
    """Look every catalogue up again."""
    _cached.clear()


def _load(tenant_id: uuid.UUID) -> TenantCatalogue:
    row = LogSettings.objects.filter(pk=tenant_id).first() or LogSettings.objects.get_or_create(pk=tenant_id)[0]
    newest: dict[int, Any] = {}
    for version in ActionSchema.objects.filter(definition__tenant_id=tenant_id).order_by("version"):
        newest[version.definition_id] = version.schema
    actions = {
        definition.name: _Action(
            default_severity=Severity(definition.default_severity).label if definition.default_severity else None,
            validator=compile_schema(newest[definition.pk]) if definition.pk in newest else None,
            title_template=definition.title_template,
        )
        for definition in ActionDefinition.objects.filter(tenant_id=tenant_id)
    }
    encryption = EncryptionSettings(frozenset(row.encrypted_fields), frozenset(row.encrypted_metadata_keys), row.subject_key, row.pseudonymises_users)
    return TenantCatalogue(bytes(row.id_secret), CatalogueMode(row.catalogue_mode), actions, encryption)
