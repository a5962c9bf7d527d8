"""Settings of the tests: the product's, and the few differences, each with its reason."""

import os

# The type checker and editors import this module where no servers run. The test run itself (tests/servers.py) sets
# all of these before it gets here.
os.environ.setdefault("DATABASE_URL", "postgresql://nobody@localhost/none")
os.environ.setdefault("REDIS_URL", "redis://localhost/0")
os.environ.setdefault("AUDITLOG_SECRET_KEY", "for the type checker, which signs nothing")

from auditlog_project.settings import *

# The real hasher takes a tenth of a second by design, and every test that logs somebody in would pay for it.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
