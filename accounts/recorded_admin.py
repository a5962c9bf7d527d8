"""Django's admin with everything that is changed in it recorded in the logs of the tenants that it concerns.

Invariants:
- What is added or changed is recorded within the admin's transaction, and what is deleted before it is: if the entry can't be written,
  nothing of it happens, and the answer is `not_recorded` (503).
- Entries name objects and fields, never values.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from accounts import extensions
from accounts.deeds import Deed
from accounts.extensions import Record
from accounts.models import Tenant, User
from accounts.recording import whence
from accounts.sign_ins import operator_tenant

logger = logging.getLogger(__name__)


class RecordedAdmin(admin.ModelAdmin):
    """A ModelAdmin whose additions, changes and deletions are entries of type `resource_type`. Its own actions call `record`."""

    resource_type: ClassVar[str] = "audit_log_settings"

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self.record(request, "CREATE", [obj], message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self.record(request, "UPDATE", [obj], message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        self.record(request, "DELETE", queryset, "")
        return super().log_deletions(request, queryset)

    def record(self, request: HttpRequest, action: str, objects: Iterable[Model], message: Any = "") -> None:
        """Record what is done to objects, each in its tenants' logs: all of it or nothing. Raises NotRecorded."""
        deed = Deed(action, self.resource_type)
        name = request.user.get_username()
        records = []
        for obj in objects:
            told = {"principal": f"user:{name}", "path": request.path_info, "model": obj._meta.label, "object": str(obj)}
            if message:
                told["changes"] = message
            for tenant_id in self._tenants_of(obj, is_new=action == "CREATE"):
                records.append(Record(tenant_id, name, deed, "success", str(obj.pk), told, **whence(request)))
        extensions.record_all(records)

    def _tenants_of(self, obj: Model, *, is_new: bool) -> Sequence[uuid.UUID]:
        """The tenants that an object concerns: its own; of what has none, the operator's."""
        own = getattr(obj, "tenant_id", None)
        if isinstance(own, uuid.UUID):
            return [own]
        if isinstance(obj, Tenant) and not is_new:
            return [obj.pk]
        if isinstance(obj, User):
            found = list(obj.memberships.values_list("tenant_id", flat=True))
            if found:
                return found
        operators = operator_tenant()
        if operators is None or operators == obj:
            logger.warning("there is no tenant in whose log to record what is done in the admin: %s %s", obj._meta.label, obj.pk)
            return []
        return [operators.pk]


def cover(site: admin.AdminSite) -> None:
    """See to it that every admin of the site is recorded, other people's included."""
    for model, registered in list(site._registry.items()):
        if not isinstance(registered, RecordedAdmin):
            options = type(registered)
            site.unregister(model)
            site.register(model, type(options.__name__, (RecordedAdmin, options), {"__module__": options.__module__}))
