from __future__ import annotations

from uuid import uuid4

from django.test import Client
from django.urls import resolve, reverse


def test_the_addresses_follow_the_prefix_under_which_they_are_included() -> None:
    run_id = uuid4()
    assert reverse("sagas-api:run", args=[run_id]) == f"/api/runs/{run_id}"


def test_what_is_under_the_prefix_and_unknown_gets_no_page_of_the_site() -> None:
    client = Client(enforce_csrf_checks=True)
    for path in ("/api/nothing", "/api/sagas/", "/api/a/b/c"):
        assert resolve(path).func.__name__ == "absent"
        answer = client.post(path)
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
