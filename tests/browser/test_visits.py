"""Whatever goes wrong on a page is noted, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.visits import Visits

POLICY = {"Content-Security-Policy": "default-src 'self'"}


@pytest.fixture
def recording(chromium: Browser) -> Iterator[Visits]:
    visits = Visits(chromium, "http://a.test")
    yield visits
    visits.close()


def opened(visits: Visits, body: str, status: int = 200) -> Page:
    """A page of a strict site that consists of `body`."""
    page = visits.page()
    page.route("**/script.js", lambda route: route.fulfill(body="undefinedName()"))
    page.route("**/page", lambda route: route.fulfill(
        status=status, body=body, headers={**POLICY, "Content-Type": "text/html"}))  # fmt: skip
    page.goto("/page")
    visits.settle()
    return page


def kinds(visits: Visits) -> set[str]:
    return {problem.split(": ")[1] for problem in visits.problems}


def test_a_page_that_is_well_has_no_problems(recording: Visits) -> None:
    opened(recording, "<p>well</p>")
    assert recording.problems == []


@pytest.mark.parametrize(
    "body",
    [
        "<p style='color: red'>",
        "<script>1</script>",
        "<img src='http://b.test/' alt=''>",
        "<b id=a onclick='1'></b>",
    ],
)
def test_what_the_policy_forbids_is_noted(recording: Visits, body: str) -> None:
    opened(recording, body)
    assert "policy" in kinds(recording)
    assert all("http://a.test/page: " in problem for problem in recording.problems)


def test_a_scripts_error_is_noted(recording: Visits) -> None:
    opened(recording, "<script src=/script.js></script>")
    assert kinds(recording) == {"script"}
    assert "undefinedName" in recording.problems[0]


def test_an_error_on_the_console_is_noted(recording: Visits) -> None:
    opened(recording, "").evaluate("console.error('oh')")
    recording.settle()
    assert recording.problems == ["http://a.test/page: console: oh"]


def test_a_refusal_is_forgiven_where_a_story_expects_it(recording: Visits) -> None:
    opened(recording, "<p>no</p>", status=403)
    assert "status of 403" in recording.problems[0]
    recording.forgive("status of 403")
    assert recording.problems == []


def test_nothing_is_forgiven_that_did_not_happen(recording: Visits) -> None:
    opened(recording, "<p>well</p>")
    with pytest.raises(AssertionError, match="no problem says"):
        recording.forgive("status of 403")


def test_each_page_is_another_persons(recording: Visits) -> None:
    first, second = opened(recording, ""), opened(recording, "")
    first.evaluate("document.cookie = 'a=1'")
    assert second.evaluate("document.cookie") == ""
