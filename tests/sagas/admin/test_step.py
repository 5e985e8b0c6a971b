from __future__ import annotations

from django.test import Client

from tests.sagas.admin.records import PAGES, pages_of, run


def test_a_step_links_to_its_run_and_shows_its_result(viewer: Client) -> None:
    made = run()
    for page in (PAGES["step"], pages_of(made)["step"]):
        assert pages_of(made)["run"] in viewer.get(page).content.decode()
    assert b"secret" in viewer.get(pages_of(made)["step"]).content


def test_steps_are_found_by_name_and_status(viewer: Client) -> None:
    run()
    assert b"1 step" in viewer.get(f"{PAGES['step']}?q=charge").content
    assert b"0 steps" in viewer.get(f"{PAGES['step']}?status__exact=failed").content
