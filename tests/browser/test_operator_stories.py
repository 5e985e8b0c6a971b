"""What operators do at night, in a real browser, with real workers behind the pages."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

from playwright.sync_api import Page, expect

from tests.browser.people import login
from tests.browser.site import Site
from tests.browser.visits import Visits

PATIENCE = 30_000  # ms until a page shows what the workers have done
REASON = "ticket 4711"


def refused(site: Site, count: int, address: str) -> list[UUID]:
    """Deliveries that were refused after their pivot, all for the same reason."""
    from tests.stories.waiting import at_rest

    keys = [f"order:{uuid4()}" for _ in range(count)]
    runs = [site.begin("delivery", key, address=address) for key in keys]
    assert {at_rest(run_id).status for run_id in runs} == {"needs_attention"}
    return runs


def in_doubt(site: Site) -> UUID:
    """A delivery that stopped for another reason, so that no story counts it among its own."""
    from tests.stories.waiting import at_rest

    run_id = site.begin("delivery", f"order:{uuid4()}", address="maybe")
    assert at_rest(run_id).status == "needs_attention"
    return run_id


def stuck_booking(site: Site) -> UUID:
    """A booking whose condition raised before its pivot: it can be undone."""
    from sagas.api import send_signal
    from tests.stories.waiting import at_rest

    key = f"seat:{uuid4()}"
    run_id = site.begin("booking", key, seat="7")
    send_signal("paid", key)
    assert at_rest(run_id).status == "needs_attention"
    return run_id


def run_of(run_id: UUID) -> Any:
    from sagas.models import Run

    return Run.objects.get(pk=run_id)


def page_of(run_id: UUID) -> str:
    return f"/admin/sagas/run/{run_id}/change/"


def becomes(page: Page, state: str) -> None:
    """Wait until the page says so by itself: it is not loaded again."""
    place = page.locator('[data-part="headline"] .run-state')
    expect(place).to_contain_text(state, timeout=PATIENCE)


def send(page: Page, button: str, reason: str = REASON) -> None:
    page.get_by_label(re.compile("^(Why|Evidence|What was done instead)")).fill(reason)
    page.get_by_role("button", name=button, exact=True).click()


def test_an_operator_mends_one_run_of_an_error_group_and_then_all_the_others(
    site: Site, browser_page: Page
) -> None:
    address = f"nowhere {uuid4()}"
    first, *others = refused(site, 4, address)
    page = browser_page
    login(page, "operator", then="/admin/sagas/")

    # From the overview to the runs that failed for this reason.
    group = "label: the address does not exist"
    page.get_by_role("link", name=re.compile(re.escape(group))).first.click()
    expect(page.locator("#result_list tbody tr")).to_have_count(4)

    # One of them gets other input, and succeeds before the operator's eyes.
    page.goto(page_of(first))
    page.get_by_role("link", name=re.compile("^Retry label")).click()
    page.get_by_text("Change the run's input first").click()
    page.get_by_label("address").fill("1 Main Street")
    send(page, "Retry label")
    expect(page.locator(".messagelist")).to_contain_text("Retry label: done.")
    becomes(page, "succeeded")
    people = page.locator("#content-main")
    page.reload()
    expect(people).to_contain_text(REASON)

    # The partner has mended its side: all the others are tried again, after a dry run.
    site.learn(address)
    page.goto(f"/admin/sagas/run/?status=needs_attention&error_group={group}")
    expect(page.locator("#result_list tbody tr")).to_have_count(3)
    page.get_by_role("link", name="Do something to all that match").click()
    page.get_by_label("What to do").get_by_role("link", name="Retry", exact=True).click()
    send(page, "Try it out")
    expect(page.locator('[data-part="state"]')).to_contain_text("3 will be done")
    assert {run_of(run_id).status for run_id in others} == {"needs_attention"}
    page.get_by_role("button", name="Confirm: carry it out on 3 runs").click()
    done = page.locator('[data-part="state"]')
    expect(done).to_contain_text("Every run has its answer", timeout=PATIENCE)
    expect(done).to_contain_text("3 retried: 3 succeeded.", timeout=PATIENCE)  # followed, live
    for run_id in others:
        page.goto(page_of(run_id))
        becomes(page, "succeeded")


def test_an_operator_sees_what_undo_would_do_and_undoes_it(site: Site, browser_page: Page) -> None:
    run_id = stuck_booking(site)
    page = browser_page
    login(page, "operator", then=page_of(run_id))
    expect(page.locator('[data-part="preview"]')).to_contain_text("let_go")
    page.get_by_role("link", name="Undo", exact=True).click()
    expect(page.locator(".run-preview")).to_contain_text("let_go")
    send(page, "Undo 1 step")
    becomes(page, "compensated")


def test_a_viewer_sees_everything_and_can_do_nothing(
    site: Site, browser_page: Page, visits: Visits
) -> None:
    run_id = in_doubt(site)
    page = browser_page
    login(page, "viewer", then=page_of(run_id))
    expect(page.locator('[data-part="headline"]')).to_contain_text("needs attention")
    expect(page.locator(".verbs a")).to_have_count(0)
    page.goto(f"/admin/sagas/run/{run_id}/do/resolve/")
    expect(page).to_have_url(re.compile("/change/$"))
    expect(page.locator(".messagelist")).to_contain_text("sagas.change_run")


def test_a_second_person_consents_before_it_is_done(site: Site, visits: Visits) -> None:
    from tests.stories.waiting import until

    run_id = site.begin("booking", f"seat:{uuid4()}", seat="1A")
    until(lambda: _waits(run_id))
    operator, approver = visits.page(), visits.page()
    login(operator, "operator", then=page_of(run_id))
    operator.get_by_role("link", name=re.compile("^Cancel")).click()
    send(operator, "Ask for consent: Cancel and undo 1 step")
    expect(operator.locator(".messagelist")).to_contain_text("a second person must consent")
    becomes(operator, "running")

    login(approver, "approver", then="/admin/sagas/approval/")
    approver.get_by_role("link", name="Cancel").first.click()
    expect(approver.locator("#content-main")).to_contain_text(REASON)
    approver.get_by_role("button", name=re.compile("^Consent")).click()
    expect(approver.locator(".messagelist")).to_contain_text("is approved")
    becomes(operator, "compensated")


def test_two_operators_who_decide_at_once_are_told_who_was_first(
    site: Site, visits: Visits
) -> None:
    run_id = in_doubt(site)
    one, two = visits.page(), visits.page()
    for page, name in ((one, "operator"), (two, "colleague")):
        login(page, name, then=f"/admin/sagas/run/{run_id}/do/resolve/")
    send(one, "Resolve: close the run and undo nothing")
    expect(one.locator(".messagelist")).to_contain_text("The run is resolved.")
    send(two, "Resolve: close the run and undo nothing")
    expect(two.locator(".messagelist")).to_contain_text("has moved since you looked")


def _waits(run_id: UUID) -> bool:
    from sagas.models import Step

    return Step.objects.filter(run=run_id, status="waiting").exists()
