"""Integration sagas: workflows on Django and Celery that finish or undo themselves."""
