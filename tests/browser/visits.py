"""Pages of one visit to the site, and everything that went wrong on any of them."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  const place = `${event.sourceFile}:${event.lineNumber}`;
  window.policyViolated(`${event.effectiveDirective} forbids ${event.blockedURI} at ${place}`);
});
"""


class Visits:
    """Makes pages, each in a context of its own: another person, with other cookies.

    `problems` are the console's errors, the scripts' uncaught ones and the violations of the
    content security policy, of all pages, in the order in which they came.
    """

    def __init__(self, browser: Browser, address: str | None = None) -> None:
        self.problems: list[str] = []
        self._browser = browser
        self._address = address
        self._contexts: list[BrowserContext] = []

    def page(self, **options: Any) -> Page:
        """A new page, on which addresses may leave out the site's; `options` are Playwright's."""
        context = self._browser.new_context(**{"base_url": self._address, **options})
        self._contexts.append(context)
        context.expose_binding("policyViolated", self._violated)
        context.add_init_script(_REPORT_VIOLATIONS)
        context.on("console", self._said)
        context.on("weberror", lambda error: self._note(error.page, "script", str(error.error)))
        return context.new_page()

    def forgive(self, text: str) -> None:
        """Drop the problems that have `text` in them: a story that is refused sees a 403.

        Raises AssertionError when there is none, so that nothing is forgiven in advance.
        """
        self.settle()
        kept = [problem for problem in self.problems if text not in problem]
        assert len(kept) < len(self.problems), f"no problem says {text!r}: {self.problems}"
        self.problems[:] = kept

    def settle(self) -> None:
        """Let every open page tell what it has not told yet."""
        for context in self._contexts:
            for page in context.pages:
                page.evaluate("new Promise((done) => setTimeout(done))")

    def close(self) -> None:
        """Close all pages."""
        self.settle()
        while self._contexts:
            self._contexts.pop().close()

    def _violated(self, source: Any, text: str) -> None:
        self._note(source["page"], "policy", text)

    def _said(self, message: ConsoleMessage) -> None:
        place = message.location["url"]
        # Chromium asks for that by itself where a page names no icon, such as a plain answer.
        if message.type == "error" and not place.endswith("/favicon.ico"):
            self._note(
                message.page, "console", f"{message.text} ({place})" if place else message.text
            )

    def _note(self, page: Page | None, kind: str, text: str) -> None:
        self.problems.append(f"{page.url if page else 'a page'}: {kind}: {text}")
