"""Answers whether this process lives, and whether it can serve."""

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """200 while the process answers at all."""
    return JsonResponse({"status": "live"})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when the database answers and is migrated, else 503 with the reason."""
    reason = _reason()
    if reason:
        return JsonResponse({"status": "not ready", "reason": reason}, status=503)
    return JsonResponse({"status": "ready"})


def _reason() -> str | None:
    try:
        executor = MigrationExecutor(connection)
        return _missing(executor)
    except DatabaseError:
        return "the database does not answer"


def _missing(executor: MigrationExecutor) -> str | None:
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(plan)} migrations are not applied; run manage.py migrate" if plan else None
