"""The WSGI application, with the limits that hold for processes that answer requests."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

application = get_wsgi_application()

# These need the settings' module named above.
from django.conf import settings  # noqa: E402

from project.celery import app, publish_briefly  # noqa: E402

if not settings.POOLED:  # a pooler refuses them: there they belong to the role in the database
    # libpq reads it: no request waits for ever on a lock or a slow query.
    os.environ.setdefault(
        "PGOPTIONS",
        "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
    )
publish_briefly(app)
