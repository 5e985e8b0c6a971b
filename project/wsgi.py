"""The WSGI application, with the limits that hold for processes that answer requests."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
# libpq reads it: no request waits for ever on a lock or a slow query.
os.environ.setdefault(
    "PGOPTIONS",
    "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
)

application = get_wsgi_application()

from project.celery import app, publish_briefly  # noqa: E402  needs the settings' module named above

publish_briefly(app)
