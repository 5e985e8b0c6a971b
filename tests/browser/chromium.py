"""The browser that the tests drive: the Chromium that the system has, none that we download."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from playwright.sync_api import Browser, Playwright

# Without its sandbox, which root cannot have; and asking nobody outside anything.
_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


class ChromiumMissing(Exception):
    """There is no Chromium to drive; install one, or name it in the variable CHROMIUM."""


def path(environment: Mapping[str, str] = os.environ) -> str:
    """Where Chromium is: what CHROMIUM says, or the one on the PATH. Raises ChromiumMissing."""
    named = environment.get("CHROMIUM", "chromium")
    found = shutil.which(named, path=environment.get("PATH"))
    if found is None:
        raise ChromiumMissing(
            f"there is no {named!r} to drive; install it, or name one in CHROMIUM"
        )
    return found


def required(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a missing Chromium is a failure (BROWSER=required) and not a reason to skip."""
    return environment.get("BROWSER") == "required"


def launch(playwright: Playwright) -> Browser:
    """Start Chromium without a window. Raises ChromiumMissing."""
    return playwright.chromium.launch(executable_path=path(), args=_ARGUMENTS)
