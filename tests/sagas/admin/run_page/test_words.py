from __future__ import annotations

import pytest

from sagas.admin.run_page.words import GLYPHS, age, length, until
from sagas.operate.undone import UNDONE
from sagas.states import RunStatus, StepStatus


def test_every_state_has_a_shape_of_its_own_kind() -> None:
    states = {*(s.value for s in RunStatus), *(s.value for s in StepStatus)}
    assert set(GLYPHS) == {*states, UNDONE}


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (0.0123, "12 ms"),
        (1.5, "1.5 s"),
        (59.9, "59.9 s"),
        (60, "1 min"),
        (65, "1 min 5 s"),
        (3600, "1 h"),
        (3720, "1 h 2 min"),
        (86_400 + 7200, "1 d 2 h"),
        (40 * 86_400, "40 d"),
    ],
)
def test_lengths_are_told_in_their_two_largest_units(seconds: float, told: str) -> None:
    assert length(seconds) == told


def test_ages_change_by_the_minute_only() -> None:
    assert {age(s) for s in range(60)} == {"less than a minute"}
    assert {age(s) for s in range(300, 360)} == {"5 min"}
    assert until(-1) == until(0) == "due now"
    assert until(59) == "in less than a minute"
    assert until(3600) == "in 1 h"
