"""The action catalogue and the log's settings over HTTP. Everybody of the tenant who may read may look; Admins change."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.deeds import Deed, note
from accounts.fields import TextField, TextModelSerializer, TruthField
from accounts.limits import writing
from accounts.models import EndpointClass
from accounts.permissions import AdminWrites, principal_of
from accounts.problems import Fault, Invalid, NotFound
from accounts.recording import RecordedView
from accounts.schema import NOT_FOUND, problem_response
from logs.catalogue import check_schema
from logs.models import ActionDefinition, ActionSchema, CatalogueMode, EncryptedField, LogSettings, Severity

ACTION_TYPE = "audit_log_action"
INVALID = problem_response(
    422,
    "invalid",
    "The content is not right",
    "Upper case: A-Z, 0-9, _ . : -",
    errors=[{"pointer": "/name", "code": "invalid", "detail": "Upper case: A-Z, 0-9, _ . : -"}],
)
METADATA_SCHEMA = {"type": "object", "required": ["amount_cents"], "properties": {"amount_cents": {"type": "integer", "minimum": 0}}}
ACTION = {
    "name": "REFUND",
    "title_template": "{user} refunded {resource} ({metadata.amount_cents} cents)",
    "default_severity": "WARNING",
    "schema_version": 1,
    "schema": METADATA_SCHEMA,
}


class SeverityField(serializers.ChoiceField):
    """A severity by its name; stored as its number."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(choices=[(label, label) for label in Severity.labels], **arguments)

    def to_internal_value(self, data: Any) -> Any:
        return int(Severity[super().to_internal_value(data)])

    def to_representation(self, value: Any) -> str:
        return Severity(value).label


@extend_schema_field({"type": "object", "additionalProperties": True})
class SchemaField(serializers.Field[Any, Any, Any, Any]):
    """A JSON Schema (draft 2020-12) that is whole in itself."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            check_schema(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error), code="bad_schema") from error
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class ActionSchemaSerializer(serializers.ModelSerializer[ActionSchema]):
    schema = SchemaField()

    class Meta:
        model = ActionSchema
        fields = ["version", "schema", "created_at"]
        read_only_fields = ["version", "created_at"]


class ActionSerializer(TextModelSerializer):
    default_severity = SeverityField(required=False, allow_null=True)
    schema_version = serializers.SerializerMethodField(help_text="Version of the metadata's schema that counts; null: there is none.")
    schema = serializers.SerializerMethodField(help_text="The metadata's JSON Schema that counts.")

    class Meta:
        model = ActionDefinition
        fields = ["name", "title_template", "default_severity", "schema_version", "schema"]

    def get_schema_version(self, action: ActionDefinition) -> int | None:
        newest = self._newest(action)
        return newest.version if newest else None

    @extend_schema_field({"type": "object", "additionalProperties": True, "nullable": True})
    def get_schema(self, action: ActionDefinition) -> Any:
        newest = self._newest(action)
        return newest.schema if newest else None

    def _newest(self, action: ActionDefinition) -> ActionSchema | None:
        # Ordered newest first, and prefetched: one query for all actions.
        return next(iter(action.schemas.all()), None)


class ChangedActionSerializer(ActionSerializer):
    class Meta(ActionSerializer.Meta):
        read_only_fields = ["name"]


class LogSettingsSerializer(serializers.ModelSerializer[LogSettings]):
    catalogue_mode = serializers.ChoiceField(choices=CatalogueMode.choices)
    encrypted_fields = serializers.ListField(
        child=serializers.ChoiceField(choices=EncryptedField.choices),
        max_length=len(EncryptedField.values),
        help_text="Encrypted as a whole in entries to come; what is stored stays as it is.",
    )
    encrypted_metadata_keys = serializers.ListField(
        child=TextField(max_length=128, trim_whitespace=False),
        max_length=100,
        help_text="Top-level keys of the metadata whose values are encrypted in entries to come. They can't be searched then.",
    )
    subject_key = TextField(
        max_length=128,
        allow_blank=True,
        trim_whitespace=False,
        help_text="Top-level key of the metadata that names the data subject, where it is not the user: their key encrypts the entry.",
    )
    pseudonymises_users = TruthField(help_text="Entries to come hold a pseudonym in place of `user_id`.")

    class Meta:
        model = LogSettings
        fields = ["catalogue_mode", "encrypted_fields", "encrypted_metadata_keys", "subject_key", "pseudonymises_users"]

    def validate_encrypted_fields(self, value: list[str]) -> list[str]:
        return sorted(set(value), key=EncryptedField.values.index)

    def validate_encrypted_metadata_keys(self, value: list[str]) -> list[str]:
        return list(dict.fromkeys(value))


SETTINGS = {
    "catalogue_mode": "off",
    "encrypted_fields": ["before", "after"],
    "encrypted_metadata_keys": [],
    "subject_key": "",
    "pseudonymises_users": False,
}


class ActionsView(RecordedView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminWrites]
    deeds = {"GET": Deed("READ", ACTION_TYPE), "POST": Deed("CREATE", ACTION_TYPE)}

    @extend_schema(operation_id="actions_list", summary="List the described actions", responses={200: ActionSerializer(many=True)},
                   examples=[OpenApiExample("actions", value=[ACTION], response_only=True, status_codes=["200"])])  # fmt: skip
    def get(self, request: Request) -> Response:
        actions = ActionDefinition.objects.filter(tenant_id=principal_of(request).tenant_id).prefetch_related("schemas")
        found = ActionSerializer(actions, many=True).data
        note(request, results=len(found))
        return Response(found)

    @extend_schema(
        operation_id="actions_create",
        summary="Describe an action",
        request=ActionSerializer,
        responses={201: ActionSerializer, 422: INVALID},
        examples=[
            OpenApiExample("an action", value={key: ACTION[key] for key in ("name", "title_template", "default_severity")}, request_only=True),
            OpenApiExample("made", value=ACTION | {"schema_version": None, "schema": None}, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        serializer = ActionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        name = serializer.validated_data["name"]
        if ActionDefinition.objects.filter(tenant_id=principal_of(request).tenant_id, name=name).exists():
            raise Invalid([Fault("/name", "exists", f"The action {name!r} is described already. Change it by PATCH.")])
        serializer.save(tenant_id=principal_of(request).tenant_id)
        note(request, resource_id=name, changes=serializer.data)
        return Response(serializer.data, status=status.HTTP_201_CREATED)


class ActionView(RecordedView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminWrites]
    deeds = {"GET": Deed("READ", ACTION_TYPE), "PATCH": Deed("UPDATE", ACTION_TYPE), "DELETE": Deed("DELETE", ACTION_TYPE)}

    @extend_schema(operation_id="actions_get", summary="Read an action's description", responses={200: ActionSerializer, 404: NOT_FOUND},
                   examples=[OpenApiExample("action", value=ACTION, response_only=True, status_codes=["200"])])  # fmt: skip
    def get(self, request: Request, name: str) -> Response:
        return Response(ActionSerializer(_action(request, name)).data)

    @extend_schema(
        operation_id="actions_change",
        summary="Change an action's description",
        request=ChangedActionSerializer,
        responses={200: ActionSerializer, 404: NOT_FOUND, 422: INVALID},
        examples=[
            OpenApiExample("graver", value={"default_severity": "ERROR"}, request_only=True),
            OpenApiExample("changed", value=ACTION | {"default_severity": "ERROR"}, response_only=True, status_codes=["200"]),
        ],
    )
    def patch(self, request: Request, name: str) -> Response:
        serializer = ChangedActionSerializer(_action(request, name), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        note(request, changes=serializer.validated_data)
        serializer.save()
        return Response(serializer.data)

    @extend_schema(operation_id="actions_delete", summary="Remove an action's description", responses={204: None, 404: NOT_FOUND})
    def delete(self, request: Request, name: str) -> Response:
        _action(request, name).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class ActionSchemasView(RecordedView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminWrites]
    deeds = {"GET": Deed("READ", ACTION_TYPE), "POST": Deed("UPDATE", ACTION_TYPE)}

    @extend_schema(
        operation_id="action_schemas_list",
        summary="List the versions of an action's metadata schema",
        responses={200: ActionSchemaSerializer(many=True), 404: NOT_FOUND},
        examples=[
            OpenApiExample(
                "versions",
                value=[{"version": 1, "schema": METADATA_SCHEMA, "created_at": "2026-01-31T12:00:00.000000Z"}],
                response_only=True,
                status_codes=["200"],
            )
        ],
    )
    def get(self, request: Request, name: str) -> Response:
        return Response(ActionSchemaSerializer(_action(request, name).schemas.all(), many=True).data)

    @extend_schema(
        operation_id="action_schemas_create",
        summary="Add a version of an action's metadata schema",
        description="The newest version counts from then on, in every process within seconds. Older ones stay on record.",
        request=ActionSchemaSerializer,
        responses={201: ActionSchemaSerializer, 404: NOT_FOUND, 422: INVALID},
        examples=[
            OpenApiExample("a schema", value={"schema": METADATA_SCHEMA}, request_only=True),
            OpenApiExample(
                "added",
                value={"version": 1, "schema": METADATA_SCHEMA, "created_at": "2026-01-31T12:00:00.000000Z"},
                response_only=True,
                status_codes=["201"],
            ),
        ],
    )
    def post(self, request: Request, name: str) -> Response:
        serializer = ActionSchemaSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with transaction.atomic():
            action = ActionDefinition.objects.select_for_update().get(pk=_action(request, name).pk)
            newest = action.schemas.first()
            serializer.save(definition=action, version=newest.version + 1 if newest else 1)
        note(request, schema_version=serializer.data["version"])
        return Response(serializer.data, status=status.HTTP_201_CREATED)


class LogSettingsView(RecordedView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminWrites]
    deeds = {"GET": Deed("READ", "audit_log_settings"), "PATCH": Deed("UPDATE", "audit_log_settings")}

    @extend_schema(operation_id="log_settings_get", summary="Read the log's settings", responses={200: LogSettingsSerializer},
                   examples=[OpenApiExample("settings", value=SETTINGS, response_only=True, status_codes=["200"])])  # fmt: skip
    def get(self, request: Request) -> Response:
        return Response(LogSettingsSerializer(_settings(request)).data)

    @extend_schema(operation_id="log_settings_change", summary="Change the log's settings", request=LogSettingsSerializer,
                   responses={200: LogSettingsSerializer, 422: INVALID},
                   examples=[OpenApiExample("enforce the catalogue", value={"catalogue_mode": "enforce"}, request_only=True),
                             OpenApiExample("encrypt a diagnosis", value={"encrypted_metadata_keys": ["diagnosis"]}, request_only=True),
                             OpenApiExample("changed", value=SETTINGS | {"encrypted_metadata_keys": ["diagnosis"]}, response_only=True,
                                            status_codes=["200"])])  # fmt: skip
    def patch(self, request: Request) -> Response:
        serializer = LogSettingsSerializer(_settings(request), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        note(request, changes=serializer.validated_data)
        serializer.save()
        return Response(serializer.data)


def _action(request: Request, name: str) -> ActionDefinition:
    if "\x00" in name:
        # PostgreSQL keeps no such text, and psycopg refuses to ask for it.
        raise NotFound("No action has that name.")
    note(request, resource_id=name)
    return get_object_or_404(ActionDefinition.objects.prefetch_related("schemas"), tenant_id=principal_of(request).tenant_id, name=name)


def _settings(request: Request) -> LogSettings:
    return LogSettings.objects.get_or_create(pk=principal_of(request).tenant_id)[0]
