"""Every verb by keyboard alone: from the run's page to its end, without a pointer."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Page, expect

from sagas.operate.catalogue import VERBS
from tests.browser.audit import by_keyboard, tab_to
from tests.browser.people import login
from tests.browser.site import Site

REASON = "by keyboard"


def refused(site: Site) -> UUID:
    return _at_rest(site.begin("delivery", f"order:{uuid4()}", address="nowhere"))


def in_doubt(site: Site) -> UUID:
    return _at_rest(site.begin("delivery", f"order:{uuid4()}", address="maybe"))


def before_its_pivot(site: Site) -> UUID:
    from sagas.api import send_signal

    key = f"seat:{uuid4()}"
    run_id = site.begin("booking", key, seat="7")
    send_signal("paid", key)
    return _at_rest(run_id)


def waiting(site: Site) -> UUID:
    from sagas.models import Step
    from tests.stories.waiting import until

    run_id = site.begin("booking", f"seat:{uuid4()}", seat="1A")
    until(lambda: Step.objects.filter(run=run_id, status="waiting").exists())
    return run_id


def outdated(site: Site) -> UUID:
    from sagas.models import Step
    from tests.stories.waiting import until

    run_id = site.begin("tour", f"seat:{uuid4()}", seat="1A")
    until(lambda: Step.objects.filter(run=run_id, status="waiting").exists())
    return run_id


def paused(site: Site) -> UUID:
    from sagas.operate.asker import Shell
    from sagas.operate.pause import pause

    run_id = refused(site)
    pause(run_id, by=Shell(), reason="x")
    return run_id


#: A run that the verb fits, and what the run's page says when it was done.
CASES: dict[str, tuple[Callable[[Site], UUID], str]] = {
    "retry": (refused, "done. The run is running"),
    "mark": (in_doubt, "done. The run is running"),
    "skip": (refused, "done. The run is"),
    "restart": (refused, "done. The run is running"),
    "compensate": (before_its_pivot, "done. The run is compensating"),
    "cancel": (waiting, "a second person must consent"),
    "pause": (refused, "done. The run needs attention"),
    "resume": (paused, "done. The run needs attention"),
    "migrate": (outdated, "done. The run is running"),
    "resolve": (refused, "done. The run is resolved"),
    "assign": (refused, "done. The run needs attention"),
}


def test_every_verb_is_tried() -> None:
    assert set(CASES) == set(VERBS)


@pytest.mark.parametrize("verb", CASES)
def test_a_verb_needs_no_pointer(site: Site, browser_page: Page, verb: str) -> None:
    begun, done = CASES[verb]
    page = browser_page
    login(page, "operator", then=f"/admin/sagas/run/{begun(site)}/change/")
    by_keyboard(page, page.locator(f".verbs .verb-{verb}").first)
    page.wait_for_url(re.compile(f"/do/{verb}/"))
    if verb == "mark":
        tab_to(page, page.get_by_label("It happened", exact=True))
        page.keyboard.press("Space")
    tab_to(page, page.get_by_label(re.compile("^(Why|Evidence|What was done instead)")))
    page.keyboard.type(REASON)
    by_keyboard(page, page.locator(".submit-row input[type=submit]"))
    expect(page.locator(".messagelist")).to_contain_text(done)


def _at_rest(run_id: UUID) -> UUID:
    from tests.stories.waiting import at_rest

    assert at_rest(run_id).status == "needs_attention"
    return run_id
