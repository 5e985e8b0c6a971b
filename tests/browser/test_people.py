"""The people of the stories can log in, and each may do what their group may."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as TookTooLong

from tests.browser.audit import by_keyboard, tab_to
from tests.browser.people import PASSWORD, PEOPLE, SUPERUSER, login
from tests.browser.visits import Visits


@pytest.mark.parametrize("name", [*PEOPLE, SUPERUSER])
def test_everybody_logs_in(browser_page: Page, name: str) -> None:
    login(browser_page, name, then="/admin/password_change/?a=1&b=2")
    assert browser_page.url.endswith("/admin/password_change/?a=1&b=2")
    assert name in browser_page.locator("#user-tools").inner_text().lower()


def test_a_wrong_password_lets_nobody_in(browser_page: Page) -> None:
    browser_page.set_default_timeout(1000)
    with pytest.raises(TookTooLong):
        login(browser_page, "viewer", password="wrong")
    assert "correct username and password" in browser_page.locator(".errornote").inner_text()


def test_who_belongs_to_no_saga_group_sees_no_runs(visits: Visits) -> None:
    from django.contrib.auth.models import User

    secret = User.objects.get(username="viewer").password
    User.objects.create(username="outsider", password=secret, is_staff=True)
    page = visits.page()
    login(page, "outsider")
    page.goto("/admin/sagas/run/")
    visits.forgive("status of 403")


def test_keys_are_enough_to_log_in(browser_page: Page) -> None:
    browser_page.goto("/admin/login/")
    tab_to(browser_page, browser_page.get_by_label("Username"))
    browser_page.keyboard.type("viewer")
    tab_to(browser_page, browser_page.get_by_label("Password"))
    browser_page.keyboard.type(PASSWORD)
    by_keyboard(browser_page, browser_page.get_by_role("button", name="Log in"))
    browser_page.wait_for_url("**/admin/")
