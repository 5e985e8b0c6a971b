"""Wiring: settings, the Celery application, URLs, and what runs the processes."""
