"""The HTTP entry point for plain WSGI servers behind a proxy (`granian --interface wsgi auditlog_project.wsgi`)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "auditlog_project.settings")
application = get_wsgi_application()

from logs.privacy.encryption.master_keys import master_keys

# Raises ImproperlyConfigured: a process that can't encrypt takes no entries.
master_keys()
