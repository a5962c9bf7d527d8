"""First access to a new installation: an admin, a tenant and an API key, printed once."""

from __future__ import annotations

import secrets
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from accounts.api_keys import create_api_key
from accounts.models import Membership, Role, Tenant, User
from accounts.models.api_key import Scope


class Command(BaseCommand):
    help = "Makes the first admin, tenant and API key and prints them. Does nothing if there is a user already."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", default="admin")
        parser.add_argument("--tenant", default="main", help="Slug of the tenant to make.")
        parser.add_argument("--url", default="http://localhost:8000", help="Address to print.")

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            if User.objects.exists():
                self.stdout.write(f"Audit log at {options['url']} (accounts exist already; their secrets are not shown again)")
                return
            password = secrets.token_urlsafe(15)
            user = User.objects.create_superuser(options["username"], password=password)
            tenant = Tenant.objects.create(slug=options["tenant"], name=options["tenant"].capitalize())
            Membership.objects.create(user=user, tenant=tenant, role=Role.ADMIN)
            _, key = create_api_key(tenant, "first service", Scope.values, created_by=user)
        self.stdout.write(
            "\n".join(
                [
                    "",
                    f"  Audit log    {options['url']}   (API documentation: {options['url']}/api/v1/docs)",
                    f"  Admin        {options['url']}/admin/   user {options['username']}   password {password}",
                    f"  Tenant       {options['tenant']}",
                    f"  API key      {key}",
                    "",
                    "  These secrets are shown this once. Try:",
                    "",
                    f"  export AUDITLOG_API_KEY={key}",
                    f"""  curl {options["url"]}/api/v1/logs -H "Authorization: Bearer $AUDITLOG_API_KEY" \\""",
                    """    --json '{"user_id": "alice", "action": "LOGIN", "resource_type": "session"}'""",
                    "",
                ]
            )
        )
