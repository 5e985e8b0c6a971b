"""What live.js does to a page that somebody looks at."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.people import login
from tests.browser.site import Site
from tests.browser.visits import Visits

PATIENCE = 30_000  # ms until the page asks again
SAID = "p.visually-hidden[aria-live]"


@pytest.fixture
def stuck(site: Site) -> UUID:
    from tests.stories.waiting import at_rest

    run_id = site.begin("delivery", f"order:{uuid4()}", address=f"nowhere {uuid4()}")
    assert at_rest(run_id).status == "needs_attention"
    return run_id


def page_of(run_id: UUID) -> str:
    return f"/admin/sagas/run/{run_id}/change/"


def assign(run_id: UUID, owner: str) -> None:
    from sagas.operate.asker import Shell
    from sagas.operate.assign import assign

    assign(run_id, owner, by=Shell(), reason="x")


@pytest.mark.parametrize("address", ["/admin/sagas/", "run"])
def test_a_page_whose_session_is_over_says_that_it_is_old(
    browser_page: Page, stuck: UUID, address: str
) -> None:
    page = browser_page
    login(page, "viewer", then=page_of(stuck) if address == "run" else address)
    told = page.locator(".live-stopped")
    expect(told).to_be_hidden()
    page.context.clear_cookies()
    expect(told).to_contain_text("no longer kept current", timeout=PATIENCE)
    assert told.evaluate("(it) => getComputedStyle(it).borderLeftWidth") == "4px"


def test_a_page_says_when_the_server_is_away_and_goes_on_when_it_is_back(
    browser_page: Page, visits: Visits, stuck: UUID
) -> None:
    page = browser_page
    login(page, "viewer", then=page_of(stuck))
    page.route("**/live/", _away)
    told = page.locator(".live-stopped")
    expect(told).to_contain_text("does not answer", timeout=PATIENCE)
    assign(stuck, "operator")
    page.unroute("**/live/", _away)
    expect(page.locator(".run-facts")).to_contain_text("operator", timeout=PATIENCE)
    expect(told).to_be_hidden()
    visits.forgive("503")


def test_the_focus_stays_where_it_was_while_the_page_changes(
    browser_page: Page, stuck: UUID
) -> None:
    page = browser_page
    login(page, "operator", then=page_of(stuck))
    page.locator(".verb-skip").focus()
    _pause(stuck)
    expect(page.locator(".verb-resume")).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.activeElement.className").endswith("verb-skip")


def test_a_focus_whose_place_is_gone_stays_near_it(browser_page: Page, stuck: UUID) -> None:
    page = browser_page
    login(page, "operator", then=page_of(stuck))
    page.locator(".verb-pause").focus()
    _pause(stuck)
    expect(page.locator(".verb-resume")).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.activeElement.dataset.part") == "verbs"


def test_a_new_state_is_read_out_and_a_new_owner_is_not(browser_page: Page, stuck: UUID) -> None:
    from sagas.operate.asker import Shell
    from sagas.operate.resolve import resolve

    page = browser_page
    login(page, "viewer", then=page_of(stuck))
    assign(stuck, "operator")
    expect(page.locator(".run-facts")).to_contain_text("operator", timeout=PATIENCE)
    expect(page.locator(SAID)).to_have_text("")
    resolve(stuck, by=Shell(), reason="x")
    expect(page.locator(SAID)).to_contain_text("resolved", timeout=PATIENCE)


def _away(route: Route) -> None:
    route.fulfill(status=503)


def _pause(run_id: UUID) -> None:
    from sagas.operate.asker import Shell
    from sagas.operate.pause import pause

    pause(run_id, by=Shell(), reason="x")


def _in_view(page: Page, box: str) -> bool:
    """Whether what a box opens at is seen in it."""
    seen: bool = page.locator(f"{box} [data-aim]").evaluate(
        """(it) => {
          const [inner, outer] = [it, it.closest(".run-box")].map((e) => e.getBoundingClientRect());
          return inner.top >= outer.top && inner.bottom <= outer.bottom;
        }"""
    )
    return seen


@pytest.mark.parametrize("how", ["doubt", "later", "refused"])
def test_a_run_of_122_steps_opens_at_the_step_that_matters(
    site: Site, browser_page: Page, how: str
) -> None:
    from tests.stories.waiting import at_rest, until

    run_id = site.begin("voyage", f"voyage:{uuid4()}", stop=80, how=how)
    if how == "later":
        until(lambda: _tried(run_id))
    else:
        at_rest(run_id)
    page = browser_page
    login(page, "operator", then=page_of(run_id))
    for box in (".run-graph .run-box", ".run-steps .run-box"):
        assert "leg_080" in (page.locator(f"{box} [data-aim]").text_content() or "")
        assert _in_view(page, box)
        assert page.locator(box).evaluate("(it) => it.scrollTop") > 0


def test_what_somebody_scrolled_stays_where_it_is(site: Site, browser_page: Page) -> None:
    from tests.stories.waiting import at_rest

    run_id = site.begin("voyage", f"voyage:{uuid4()}", stop=80, how="doubt")
    at_rest(run_id)
    page = browser_page
    login(page, "operator", then=page_of(run_id))
    graph = page.locator(".run-graph .run-box")
    graph.evaluate("(it) => it.scrollTo(0, 0)")
    assign(run_id, "operator")
    expect(page.locator(".run-facts")).to_contain_text("operator", timeout=PATIENCE)
    assert graph.evaluate("(it) => it.scrollTop") == 0


def _tried(run_id: UUID) -> bool:
    from sagas.models import Step

    return Step.objects.filter(run=run_id, name="leg_080", status="ready", tries=1).exists()
