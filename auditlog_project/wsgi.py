"""The HTTP entry point for plain WSGI servers behind a proxy (`granian --interface wsgi auditlog_project.wsgi`)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "auditlog_project.settings")
application = get_wsgi_application()

from auditlog_project.start import refuse_unsafe_settings

refuse_unsafe_settings()
