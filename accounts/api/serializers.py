"""What the account API takes and gives."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from accounts.api.access_serializers import GrantField, check_known
from accounts.fields import TextModelSerializer
from accounts.models import ApiKey, Role
from accounts.models.api_key import Scope


class MembershipSerializer(serializers.Serializer[Any]):
    tenant = serializers.CharField(source="tenant.slug")
    tenant_name = serializers.CharField(source="tenant.name")
    role = serializers.ChoiceField(choices=Role.choices)
    user_id = serializers.CharField(source="own_user_id", help_text="The user_id by which entries mean this member.")


class MeSerializer(serializers.Serializer[Any]):
    username = serializers.CharField()
    email = serializers.CharField()
    memberships = MembershipSerializer(many=True)


class ApiKeySerializer(TextModelSerializer):
    grant = GrantField(required=False, allow_null=True, help_text="What it sees and may do; null: the whole log, and what its scopes give.")
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices), min_length=1)

    class Meta:
        model = ApiKey
        fields = ["id", "name", "prefix", "scopes", "grant", "created_at", "expires_at", "revoked_at", "last_used_at"]
        read_only_fields = ["id", "prefix", "created_at", "revoked_at", "last_used_at"]

    def validate_expires_at(self, value: Any) -> Any:
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("The expiry has to be in the future.")
        return value


class GrantedApiKeySerializer(ApiKeySerializer):
    """What can be changed of a key: its grant, and nothing else."""

    grant = GrantField(allow_null=True, help_text="What it sees and may do; null: the whole log, and what its scopes give.")

    class Meta(ApiKeySerializer.Meta):
        read_only_fields = [name for name in ApiKeySerializer.Meta.fields if name != "grant"]

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        # Declared above, so that the list of read-only names does not reach it.
        fields["scopes"].read_only = True
        return fields

    def validate(self, attrs: Any) -> Any:
        check_known(self.initial_data, self.fields)
        return attrs


class CreatedApiKeySerializer(ApiKeySerializer):
    key = serializers.CharField(read_only=True, help_text="The key itself. It can't be had again.")

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "key"]


class SignInSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150, trim_whitespace=False)
    password = serializers.CharField(max_length=4096, trim_whitespace=False, write_only=True)
    otp = serializers.CharField(max_length=64, required=False, allow_blank=True, help_text="Code of the second factor, or a recovery code.")


class TokensSerializer(serializers.Serializer[Any]):
    access = serializers.CharField(help_text="For `Authorization: Bearer ...`, 15 minutes long by default.")
    refresh = serializers.CharField(help_text="For the next pair; works once.")


class RefreshSerializer(serializers.Serializer[Any]):
    refresh = serializers.CharField()


class VerifySerializer(serializers.Serializer[Any]):
    token = serializers.CharField()


class KeySerializer(serializers.Serializer[Any]):
    """A public key as JSON Web Key (RFC 7517 §4, RFC 8037 §2)."""

    kty = serializers.CharField()
    crv = serializers.CharField()
    x = serializers.CharField(help_text="The 32 bytes of the key, base64url.")
    use = serializers.CharField()
    alg = serializers.CharField()
    kid = serializers.CharField(help_text="RFC 7638 thumbprint of the key.")


class KeySetSerializer(serializers.Serializer[Any]):
    keys = KeySerializer(many=True)
