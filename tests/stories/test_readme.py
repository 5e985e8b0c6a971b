"""The README's example of a saga and of its tests, run as it is printed there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagas.define import registry

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.fixture
def printed() -> Iterator[dict[str, Any]]:
    """What the two examples define."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (saga,) = (block for block in blocks if "trial_signup = Saga(" in block)
    (tests,) = (block for block in blocks if "def test_no_crash_breaks_it" in block)
    names: dict[str, Any] = {"__name__": __name__, "pytest": pytest}
    with registry.isolated():
        exec(saga + tests, names)  # noqa: S102  # it is ours
        yield names


@pytest.mark.django_db(transaction=True)
def test_the_example_does_what_its_own_tests_say(printed: dict[str, Any]) -> None:
    printed["test_a_refused_welcome_closes_the_account"]()
    printed["test_no_crash_breaks_it"]()
