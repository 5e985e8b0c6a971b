"""The site's addresses, and a view whose transaction does not commit."""

from __future__ import annotations

import json

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from project.urls import urlpatterns as _urlpatterns
from sagas.api import start


@csrf_exempt
def roll_back(request: HttpRequest) -> JsonResponse:
    """Start a run in a transaction that is rolled back, as a view does whose own write fails."""
    asked = json.loads(request.body)
    with transaction.atomic():
        start(asked["saga"], asked["payload"], key=asked["key"])
        transaction.set_rollback(True)
    return JsonResponse({"rolled back": True})


urlpatterns = [path("chaos/roll-back", roll_back), *_urlpatterns]
