from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import chromium


@pytest.fixture
def browser(tmp_path: Path) -> Path:
    made = tmp_path / "chromium"
    made.touch(mode=0o755)
    return made


def test_chromium_is_found_on_the_path(browser: Path) -> None:
    assert chromium.path({"PATH": str(browser.parent)}) == str(browser)


def test_chromium_may_be_named(browser: Path) -> None:
    assert chromium.path({"PATH": "/nowhere", "CHROMIUM": str(browser)}) == str(browser)


def test_a_missing_chromium_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(chromium.ChromiumMissing, match="'chromium'"):
        chromium.path({"PATH": str(tmp_path)})


@pytest.mark.parametrize(("said", "required"), [("required", True), ("", False)])
def test_a_missing_chromium_is_a_failure_only_where_it_is_required(
    said: str, required: bool
) -> None:
    assert chromium.required({"BROWSER": said}) is required
    assert chromium.required({}) is False
