from __future__ import annotations

from django.contrib.staticfiles import finders

from sagas.admin.badge import badge
from sagas.states import RunStatus


def test_each_state_has_a_word_a_shape_of_its_own_and_a_class() -> None:
    shapes = set()
    for status in RunStatus:
        drawn = badge(status)
        assert f'class="saga-state saga-{status}"' in drawn
        assert drawn.endswith(f"</span> {status.replace('_', ' ')}</span>")
        shapes.add(drawn.partition('aria-hidden="true">')[2][0])
    assert len(shapes) == len(RunStatus)


def test_a_state_that_nobody_knows_is_shown_as_it_is_and_harmlessly() -> None:
    assert badge('"><script>').startswith('<span class="saga-state saga-other">')
    assert "<script>" not in badge('"><script>')


def test_every_class_has_a_colour_but_for_those_that_are_neutral() -> None:
    sheet = finders.find("sagas/states.css")
    assert isinstance(sheet, str)
    with open(sheet) as file:
        css = file.read()
    coloured = {s for s in RunStatus if f".saga-{s}" in css}
    assert coloured == set(RunStatus) - {RunStatus.PENDING, RunStatus.COMPENSATED}
