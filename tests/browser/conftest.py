"""Chromium, a site and people for it. A module's tests share one site, and so its rows.

All rows are committed, and swept away with the module: a test starts runs under keys of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django import DjangoDbBlocker

from tests.browser import chromium as system
from tests.browser.people import make_people
from tests.browser.site import Site, on_test_database, opened
from tests.browser.visits import Visits


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for the module's tests: without one they are skipped, or fail if it is required."""
    try:
        system.path()
    except system.ChromiumMissing as missing:
        give_up = pytest.fail if system.required() else pytest.skip
        give_up(str(missing))
    # Not for the session: while Playwright runs, an event loop counts as running in this thread,
    # which other modules' tests must not meet: Django refuses the ORM then. Here that is safe: the
    # loop turns only within Playwright's calls, which use no database, and nothing here is async.
    # While it counts as running Django keeps a connection of its own, which has to be closed then.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = system.launch(playwright)
        yield browser
        browser.close()
        connections.close_all()


@pytest.fixture(scope="module")
def transactional_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """As pytest-django's, but the tables are emptied after the module and not after each test.

    It must have this name: pytest-django makes the test database for tests that use it.
    """
    from django.core.management import call_command

    with django_db_blocker.unblock():
        yield
        call_command("flush", verbosity=0, interactive=False)


@pytest.fixture(scope="module")
def site(
    chromium: Browser, transactional_db: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The site on the test database, with a worker for all queues and the `people`."""
    make_people()
    with opened(tmp_path_factory.mktemp("site"), on_test_database()) as site:
        yield site


@pytest.fixture
def visits(site: Site, chromium: Browser) -> Iterator[Visits]:
    """Makes pages of the site; the test fails at its end if anything went wrong on one of them."""
    visits = Visits(chromium, site.address)
    yield visits
    visits.close()
    assert not visits.problems, "\n".join(visits.problems)


@pytest.fixture
def browser_page(visits: Visits) -> Page:
    """A page of the site for one person."""
    return visits.page()


@pytest.fixture
def blank_page(chromium: Browser) -> Iterator[Page]:
    """A page of no site at all."""
    with chromium.new_context() as context:
        yield context.new_page()
