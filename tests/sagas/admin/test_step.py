from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client

from sagas.admin.history import pretty
from sagas.define import registry
from sagas.models import Step
from tests.sagas.admin.records import PAGES, pages_of, run
from tests.sagas.flows import flow


def test_a_step_links_to_its_run_and_shows_its_result(viewer: Client) -> None:
    made = run()
    for page in (PAGES["step"], pages_of(made)["step"]):
        assert pages_of(made)["run"] in viewer.get(page).content.decode()
    assert b"secret" in viewer.get(pages_of(made)["step"]).content


def test_steps_are_found_by_name_and_status(viewer: Client) -> None:
    run()
    assert b"1 step" in viewer.get(f"{PAGES['step']}?q=charge").content
    assert b"0 steps" in viewer.get(f"{PAGES['step']}?status__exact=failed").content


def test_a_step_that_was_undone_says_so_in_the_list_and_on_its_page(viewer: Client) -> None:
    made = run()
    reserve, charge = made.steps.order_by("id")
    Step.objects.create(
        run=made, name="reserve", direction="backward", position=0, status="succeeded"
    )
    Step.objects.create(run=made, name="charge", direction="backward", position=1, status="skipped")
    undone = '<span class="saga-state saga-undone">'
    assert undone in viewer.get(f"{PAGES['step']}{reserve.pk}/change/").content.decode()
    assert undone not in viewer.get(f"{PAGES['step']}{charge.pk}/change/").content.decode()
    listed = viewer.get(PAGES["step"]).content.decode()
    assert listed.count(undone) == 1


def test_a_compensation_is_named_by_its_title_in_the_list_and_on_its_page(viewer: Client) -> None:
    made = run()
    undo = Step.objects.create(
        run=made, name="reserve", direction="backward", position=0, status="failed"
    )
    assert "<bdi>undo of reserve</bdi>" in viewer.get(PAGES["step"]).content.decode()
    page = viewer.get(f"{PAGES['step']}{undo.pk}/change/")
    assert page.context["subtitle"] == "undo of reserve"
    html = page.content.decode()
    assert "<bdi>undo of reserve</bdi>" in html
    assert "(backward)" not in html


def test_a_result_is_redacted_for_those_who_may_not_reveal_it(viewer: Client) -> None:
    made = run()
    page = pages_of(made)["step"]
    with registry.isolated():
        registry.register(flow(["charge"]))
        Step.objects.update(result={"token": "t0ps3cret", "amount": 4711})
        seen = viewer.get(page).content.decode()
        assert "t0ps3cret" not in seen
        assert "4711" in seen
        viewer.force_login(User.objects.create_superuser("root"))
        assert "t0ps3cret" in viewer.get(page).content.decode()


def test_what_a_partner_said_steers_no_screen(viewer: Client) -> None:
    made = run()
    Step.objects.update(error="\u202egnp.exe\x07", correlation="\u202eabc", signal="\x1bpaid")
    seen = viewer.get(pages_of(made)["step"]).content.decode()
    assert "gnp.exe" in seen
    assert not set("\u202e\x07\x1b") & set(seen)


def test_a_document_on_its_own_page_has_an_end() -> None:
    assert len(pretty({"a": "x" * 1_000_000})) < 110_000
