from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from sagas.define import registry
from sagas.models import Event, Run, Step
from tests.sagas.admin.records import PAGES, pages_of, run
from tests.sagas.flows import flow
from tests.sagas.statements import counted


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    with registry.isolated():
        yield


def found(viewer: Client, query: str = "") -> list[str]:
    page: Any = viewer.get(f"{PAGES['run']}?{query}")
    return [r.business_key for r in page.context["cl"].result_list]


def test_the_list_shows_the_newest_first(viewer: Client) -> None:
    for key in "abc":
        run(key)
    assert found(viewer) == ["c", "b", "a"]


def test_runs_are_filtered_by_saga_and_status(viewer: Client) -> None:
    for name in ("flow", "other"):
        registry.register(flow(["a"], name=name))
        run(name, saga=name)
    run("parked", saga="other", status="needs_attention", attention="why")
    assert found(viewer, "saga=other") == ["parked", "other"]
    assert found(viewer, "saga=other&status__exact=needs_attention") == ["parked"]


def test_the_sagas_to_filter_by_are_asked_of_the_code_not_of_the_table(viewer: Client) -> None:
    registry.register(flow(["a"]))
    registry.register(flow(["a"], version=2))
    with counted() as statements:
        page = viewer.get(PAGES["run"])
    assert page.content.count(b'href="?saga=flow"') == 1
    assert not any("DISTINCT" in text for text in statements)


def test_a_run_is_found_by_its_id_or_the_start_of_its_key(viewer: Client) -> None:
    wanted = run("order:17")
    run("order:18")
    run("17")
    assert found(viewer, f"q={wanted.id}") == ["order:17"]
    assert found(viewer, f"q={wanted.id.hex}") == ["order:17"]
    assert found(viewer, "q=order:1") == ["order:18", "order:17"]
    assert found(viewer, "q=%20order:17%20") == ["order:17"]


def test_the_list_tells_how_long_a_run_took(viewer: Client) -> None:
    made = run("over", status="succeeded", finished_at="2100-01-01T00:00:00Z")
    Run.objects.update(finished_at=made.created_at + timedelta(seconds=90))
    run("open")
    html = viewer.get(PAGES["run"]).content.decode()
    assert "90.00 s" in html
    assert "not over" in html


def test_a_run_shows_its_payload_steps_and_events_and_links_to_its_steps(viewer: Client) -> None:
    made = run()
    html = viewer.get(pages_of(made)["run"]).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert html.count("&lt;u&gt;") == 4
    for step in Step.objects.all():
        assert f"{PAGES['step']}{step.pk}/change/" in html
    assert "secret" not in html  # a step's result is on the step's own page


def test_a_run_costs_the_same_with_few_and_with_many_steps_and_events(viewer: Client) -> None:
    made = run()
    page = pages_of(made)["run"]
    viewer.get(page)  # warm
    with counted() as few:
        viewer.get(page)
    for number in range(30):
        Step.objects.create(
            run=made, name=f"s{number}", direction="forward", position=9, status="pending"
        )
        Event.objects.create(run=made, step=f"s{number}", epoch=1)
    with counted() as many:
        assert b"s29" in viewer.get(page).content
    assert len(many) == len(few) <= 10


def test_of_a_very_long_history_the_newest_part_is_shown_in_order(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sagas.admin.run._EVENTS", 3)
    made = run()
    for number in range(5):
        Event.objects.create(run=made, step=f"late{number}", epoch=1)
    run("another")
    html = viewer.get(pages_of(made)["run"]).content.decode()
    assert "late1" not in html
    assert html.index("late2") < html.index("late3") < html.index("late4")


def test_an_id_that_is_none_leads_back_to_the_index(viewer: Client) -> None:
    assert viewer.get(f"{PAGES['run']}nothing/change/").status_code == 302
