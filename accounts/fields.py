"""Serializer fields that take what the OpenAPI document says and nothing that merely looks like it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from rest_framework import serializers


class TextField(serializers.CharField):
    """A text. (Django REST framework's own takes numbers too, and keeps their digits.)"""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class TruthField(serializers.BooleanField):
    """true or false. (Django REST framework's own takes 0, "off" and many more.)"""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class TextModelSerializer(serializers.ModelSerializer[Any]):
    """A model's serializer whose texts are `TextField`s and whose truths are `TruthField`s."""

    serializer_field_mapping: ClassVar[dict[Any, Any]] = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: TextField,
        models.BooleanField: TruthField,
    }
