"""For who has lost both telephone and recovery codes, when no other administrator can help."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import second_factor
from accounts.models import TokenFamily, User
from accounts.sign_in import recorded
from accounts.tokens import end_families_of


class Command(BaseCommand):
    help = "Takes a person's second factor away and ends their sign-ins. They sign in with the password alone, and set up another."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['username']!r}.")
        if not second_factor.is_on(user):
            raise CommandError(f"{user} has no second factor.")
        recorded(None, user, "SECOND_FACTOR_REMOVED", by="manage.py reset_second_factor")
        second_factor.remove(user)
        count = end_families_of(user, TokenFamily.Reason.SECOND_FACTOR)
        self.stdout.write(f"{user} signs in with the password alone now. {count} sign-in(s) ended.")
