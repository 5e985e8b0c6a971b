"""Each helper catches a page that is bad in just that way, and leaves a good one alone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser import audit
from tests.browser.audit import accessible, by_keyboard, in_both_schemes, overflows, tab_to

GOOD = """<!doctype html><html lang="en"><meta name="viewport" content="width=device-width">
<title>Good</title><style>{style}</style><main><h1>Good</h1>{body}</main></html>"""


def show(page: Page, body: str = "", style: str = "") -> None:
    page.set_content(GOOD.format(body=body, style=style))


def test_a_good_page_has_nothing_to_tell(blank_page: Page) -> None:
    show(blank_page, "<p>read me</p>")
    assert accessible(blank_page) == []
    assert overflows(blank_page) == []


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("<img src='data:,'>", "image-alt"),
        ("<input name=a>", "label"),
        ("<p style='color:#aaa'>pale</p>", "color-contrast"),
        ("<table><tr><th></th></tr></table><a href='#'></a>", "link-name"),
        ("<input name=a aria-label=a autocomplete=nonsense>", "autocomplete-valid"),
    ],
)
def test_what_wcag_forbids_is_named(blank_page: Page, body: str, rule: str) -> None:
    show(blank_page, body)
    assert [line.partition(":")[0] for line in accessible(blank_page)] == [rule]


def test_what_can_be_read_in_light_colours_only_is_found_in_the_dark(blank_page: Page) -> None:
    show(
        blank_page,
        "<p>read me</p>",
        "@media (prefers-color-scheme: dark) { p { color: #333; background: #222 } }",
    )
    found = {scheme: accessible(blank_page) for scheme in in_both_schemes(blank_page)}
    assert found["light"] == []
    assert [line.partition(":")[0] for line in found["dark"]] == ["color-contrast"]


def test_what_sticks_out_at_a_phones_width_is_named(blank_page: Page) -> None:
    show(blank_page, "<p id=wide>wide</p>", "#wide { width: 600px }")
    before = blank_page.viewport_size
    assert any("p#wide" in line for line in overflows(blank_page))
    assert blank_page.viewport_size == before
    assert overflows(blank_page, width=700) == []


def test_what_scrolls_in_a_box_of_its_own_does_not_stick_out(blank_page: Page) -> None:
    show(blank_page, "<div><p>wide</p></div>", "div { overflow: auto } p { width: 600px }")
    assert overflows(blank_page) == []


def test_a_button_is_reached_and_pressed_by_keys(blank_page: Page) -> None:
    show(blank_page, "<a href='#'>a</a><button onclick='document.title = 1'>b</button>")
    by_keyboard(blank_page, blank_page.get_by_role("button"))
    assert blank_page.title() == "1"


def test_what_lies_behind_a_trap_for_the_focus_is_not_reached(
    blank_page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_TOO_MANY_TABS", 5)
    trap = "<input aria-label=a onkeydown='event.preventDefault()'><button>b</button>"
    show(blank_page, trap)
    blank_page.get_by_label("a").focus()
    with pytest.raises(AssertionError, match="Tab never reaches"):
        tab_to(blank_page, blank_page.get_by_role("button"))


def test_what_only_a_mouse_can_press_is_not_reached(blank_page: Page) -> None:
    show(blank_page, "<a href='#'>a</a><span onclick='document.title = 1'>b</span>")
    with pytest.raises(AssertionError, match="Tab never reaches"):
        tab_to(blank_page, blank_page.locator("span"))
