"""What is asked of every page: that all can read it, that it fits a phone, that keys are enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page

_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
    "resultTypes": ["violations"],
    # Not the style sheets: axe copies them into the page, which our content policy forbids. Only an
    # experimental rule, which these tags leave out, would read them.
    "preload": {"assets": ["media"]},
}
_TOO_MANY_TABS = 500  # for a page that never lets the focus go

Scheme = Literal["light", "dark"]

_END_TRANSITIONS = """document.getAnimations()
  .filter((animation) => animation instanceof CSSTransition)
  .forEach((transition) => transition.finish())"""
_STICKING_OUT = """(width) => [...document.body.querySelectorAll("*")]
  .filter((element) => element.getBoundingClientRect().right > width + 1)
  .map((element) => `${element.tagName.toLowerCase()}#${element.id}.${element.classList}` +
    ` ends at ${Math.round(element.getBoundingClientRect().right)}`)
  .slice(0, 20)"""


def accessible(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.1 A and AA on the page as it is, a line per element."""
    violations = Axe().run(page, options=_OPTIONS).response["violations"]
    return [_line(rule, node) for rule in violations for node in rule["nodes"]]


def in_both_schemes(page: Page) -> Iterator[Scheme]:
    """Show the page in light colours, then in dark ones; give the name of each."""
    schemes: tuple[Scheme, ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        page.evaluate(_END_TRANSITIONS)  # a colour on its way is neither
        yield scheme
    page.emulate_media(color_scheme="null")


def overflows(page: Page, width: int = 390) -> list[str]:
    """Whether the page scrolls sideways at that width: what sticks out, or nothing.

    The page has its former size afterwards.
    """
    before = page.viewport_size
    page.set_viewport_size({"width": width, "height": 844})
    wide = page.evaluate("document.scrollingElement.scrollWidth")
    out = [f"the page is {wide} wide", *page.evaluate(_STICKING_OUT, width)] if wide > width else []
    if before:
        page.set_viewport_size(before)
    return out


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until `target` has the focus. Raises AssertionError if it never gets it."""
    rounds = 0
    for _ in range(_TOO_MANY_TABS):
        if target.evaluate("(element) => element === document.activeElement"):
            return
        # Behind the last element that takes the focus comes the page itself, then the first.
        rounds += page.evaluate("document.activeElement === document.body")
        if rounds > 2:
            break
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {target}")


def by_keyboard(page: Page, target: Locator, key: str = "Enter") -> None:
    """Reach `target` by Tab alone and press `key` there. Raises AssertionError if it cannot."""
    tab_to(page, target)
    page.keyboard.press(key)


def _line(rule: dict[str, Any], node: dict[str, Any]) -> str:
    target = " ".join(str(part) for part in node["target"])
    reasons = [check["message"] for part in ("any", "all", "none") for check in node[part]]
    return f"{rule['id']}: {target}: {'; '.join(reasons)}"
