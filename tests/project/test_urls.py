"""What holds for every page of the site."""

from collections.abc import Iterable, Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tests.sagas.admin.records import run

OF_DJANGO = ("admin/password_change/", "admin/jsi18n/")  # they tell nothing


def addresses(patterns: Iterable[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    """The addresses below these patterns that have no parameter."""
    for pattern in patterns:
        here = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, here)
        elif not set("<([") & set(here):
            yield here


@pytest.mark.django_db
def test_no_page_and_no_answer_for_operators_is_kept_by_a_browser_or_on_the_way(
    client: Client,
) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    run_id = run().pk
    asked = [a for a in addresses(get_resolver().url_patterns) if a.startswith(("admin/", "api/"))]
    asked += [
        reverse(name, args=[run_id]).removeprefix("/")
        for name in ("admin:sagas_run_change", "sagas-api:run", "sagas-api:results")
    ]
    answers = {a: client.get(f"/{a}") for a in asked if not a.startswith(OF_DJANGO)}
    found = {a: answer for a, answer in answers.items() if answer.status_code == 200}
    assert {"admin/", "admin/sagas/run/", "api/runs", f"api/runs/{run_id}/results"} <= set(found)
    kept = {a for a, answer in found.items() if "no-store" not in answer.get("Cache-Control", "")}
    assert kept == set()
