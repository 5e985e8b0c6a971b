"""Integration sagas: multi-service workflows on Django and Celery that finish or undo themselves."""
