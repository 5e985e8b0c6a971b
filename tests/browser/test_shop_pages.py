"""The shop's pages: readable for all, on any screen, and to be used without a pointer."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.audit import accessible, by_keyboard, in_both_schemes, overflows, tab_to

PAGES = {"order": "/", "sign up": "/sign-up/", "offer": "/offers/"}


def readable(page: Page) -> None:
    found = {scheme: accessible(page) for scheme in in_both_schemes(page)}
    assert found == {"light": [], "dark": []}
    assert overflows(page) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_readable_for_all_on_any_screen(browser_page: Page, name: str) -> None:
    browser_page.goto(PAGES[name])
    readable(browser_page)


def test_somebody_signs_up_by_keyboard_and_is_told_how_it_goes(browser_page: Page) -> None:
    browser_page.goto("/sign-up/")
    for label, entry in (("Name", "Ann Smith"), ("E-mail", "ann@example.com")):
        tab_to(browser_page, browser_page.get_by_label(label))
        browser_page.keyboard.type(entry)
    by_keyboard(browser_page, browser_page.get_by_role("button", name="Sign up"))
    browser_page.wait_for_url("**/registrations/*/")
    assert "account" in browser_page.locator("ol.steps li").first.inner_text()
    readable(browser_page)


def test_somebody_asks_for_an_offer_by_keyboard_and_is_told_how_it_goes(
    browser_page: Page,
) -> None:
    browser_page.goto("/offers/")
    entries = {"Name": "Ann Lee", "E-mail": "ann@lee.example", "Company": "Lee Ltd"}
    for label, entry in entries.items():
        tab_to(browser_page, browser_page.get_by_label(label))
        browser_page.keyboard.type(entry)
    by_keyboard(browser_page, browser_page.get_by_role("button", name="Ask for an offer"))
    browser_page.wait_for_url("**/leads/*/")
    assert "request" in browser_page.locator("ol.steps li").first.inner_text()
    readable(browser_page)
