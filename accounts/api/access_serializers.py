"""What the API of grants, members and viewer tokens takes and gives."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts import viewer_tokens
from accounts.api.paging import MAX_NUMBER
from accounts.fields import TextField, TextModelSerializer, TruthField
from accounts.forced_queries import check_forced_query
from accounts.models import AccessGrant, Membership, Role, ViewerToken
from accounts.models.grant import MAX_QUERY_CHARACTERS
from accounts.problems import Fault, Invalid, Problem, escape_pointer


def check_known(given: Any, known: Mapping[str, Any]) -> None:
    """Raises Invalid for fields that there are not, or that are not the caller's to set: a misspelt limit would be none."""
    unknown = sorted(set(given) - {name for name, field in known.items() if not field.read_only})
    if unknown:
        raise Invalid([Fault(f"/{escape_pointer(name)}", "unknown_field", f"There is no field {name!r} to be set.") for name in unknown])


def checked_query(text: str, pointer: str) -> str:
    """A forced query. Raises Invalid, with the column of what is wrong, for a text that is none."""
    try:
        check_forced_query(text)
    except Problem as problem:
        raise Invalid([replace(fault, pointer=pointer) for fault in problem.faults]) from problem
    return text


@extend_schema_field({"type": "integer", "minimum": 1, "nullable": True})
class GrantField(serializers.Field[Any, Any, Any, Any]):
    """A grant of the tenant that the serializer's context names, by its id; null for none."""

    default_error_messages = {  # as Django REST framework has it
        "invalid": "The id of a grant is a whole number.",
        "unknown_grant": "There is no grant {id}.",
    }

    def to_internal_value(self, data: Any) -> AccessGrant:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        tenant_id: uuid.UUID = self.context["tenant_id"]
        found = AccessGrant.objects.filter(tenant_id=tenant_id, pk=data).first() if 0 < data <= MAX_NUMBER else None
        if found is None:
            self.fail("unknown_grant", id=data)
        return found

    def to_representation(self, value: AccessGrant) -> int:
        return int(value.pk)


class GrantSerializer(TextModelSerializer):
    class Meta:
        model = AccessGrant
        fields = [
            "id",
            "name",
            "description",
            "resource_types",
            "actions",
            "severities",
            "own_entries_only",
            "from_at",
            "until_at",
            "forced_query",
            "valid_until",
            "is_active",
            "may_decrypt",
            "may_export",
            "may_erase",
            "may_manage_retention",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "created_at", "updated_at"]

    def validate_forced_query(self, value: str) -> str:
        return checked_query(value, "/forced_query")

    def validate(self, attrs: Any) -> Any:
        check_known(self.initial_data, self.fields)
        if attrs.get("from_at") and attrs.get("until_at") and attrs["from_at"] >= attrs["until_at"]:
            raise Invalid([Fault("/until_at", "bad_range", "The end is not after the beginning.")])
        return attrs


class GrantPageSerializer(serializers.Serializer[Any]):
    """One page of grants, newest first. `next` is the path of the page after it, or null."""

    results = GrantSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class MemberSerializer(serializers.ModelSerializer[Membership]):
    username = serializers.CharField(source="user.username", read_only=True)
    user_id = serializers.CharField(source="own_user_id", read_only=True, help_text="The user_id by which entries mean this member.")
    is_active = serializers.BooleanField(source="user.is_active", read_only=True, help_text="Can they sign in?")
    role = serializers.ChoiceField(choices=Role.choices)
    grant = GrantField(allow_null=True, help_text="What they see and may do; null: what the role gives.")

    class Meta:
        model = Membership
        fields = ["id", "username", "user_id", "is_active", "role", "grant"]
        read_only_fields = ["id"]

    def validate(self, attrs: Any) -> Any:
        check_known(self.initial_data, self.fields)
        return attrs


class MemberPageSerializer(serializers.Serializer[Any]):
    """One page of members, newest first. `next` is the path of the page after it, or null."""

    results = MemberSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class ViewerTokenSerializer(serializers.ModelSerializer[ViewerToken]):
    minted_by = serializers.SerializerMethodField(help_text="user:<name> or key:<prefix>.")

    class Meta:
        model = ViewerToken
        fields = ["id", "label", "prefix", "query", "may_export", "minted_by", "created_at", "expires_at", "revoked_at"]
        read_only_fields = fields

    def get_minted_by(self, token: ViewerToken) -> str:
        if token.minted_by_member is not None:
            return f"user:{token.minted_by_member.user.get_username()}"
        return f"key:{token.minted_by_key.prefix}" if token.minted_by_key is not None else ""


class MintedViewerTokenSerializer(ViewerTokenSerializer):
    token = serializers.CharField(read_only=True, help_text="The token itself. It can't be had again.")

    class Meta(ViewerTokenSerializer.Meta):
        fields = [*ViewerTokenSerializer.Meta.fields, "token"]
        read_only_fields = fields


class ViewerTokenPageSerializer(serializers.Serializer[Any]):
    """One page of viewer tokens, newest first. `next` is the path of the page after it, or null."""

    results = ViewerTokenSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class NewViewerTokenSerializer(serializers.Serializer[Any]):
    """What a viewer token is to show, and for how long."""

    query = TextField(max_length=MAX_QUERY_CHARACTERS, help_text="In the query language of search. Joined to every question that its holder asks.")
    expires_in_seconds = serializers.IntegerField(
        min_value=viewer_tokens.MIN_SECONDS, max_value=viewer_tokens.MAX_SECONDS, default=viewer_tokens.DEFAULT_SECONDS
    )

    # Not as an attribute: `label` is a name of the Serializer's own.
    def get_fields(self) -> dict[str, Any]:
        label = TextField(max_length=200, allow_blank=True, default="", help_text="For whom it is.")
        may_export = TruthField(default=False, help_text="May its holder export what it shows? You have to be allowed to yourself.")
        return {**super().get_fields(), "label": label, "may_export": may_export}

    def validate_query(self, value: str) -> str:
        return checked_query(value, "/query")

    def validate(self, attrs: Any) -> Any:
        check_known(self.initial_data, self.fields)
        return attrs
