"""Makes the peer's schema, tables and service account, and prints its token: `python -m benchmarks.stock_peer.prepare`."""

import os
import uuid

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.stock_peer.settings")
    django.setup()

    from django.contrib.auth.models import User
    from django.core.management import call_command
    from rest_framework.authtoken.models import Token

    call_command("migrate", run_syncdb=True, verbosity=0)
    user = User.objects.create_user(str(uuid.uuid4()))
    print(Token.objects.create(user=user).key)


if __name__ == "__main__":
    main()
