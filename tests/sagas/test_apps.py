"""Finding the sagas of all installed apps."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps

from sagas.apps import autodiscover
from sagas.define import registry
from sagas.errors import DefinitionError

_SAGA = """
from pydantic import BaseModel
from sagas.api import Saga, step

class Nothing(BaseModel): ...

@step(harmless=True)
def look(run) -> None: ...

Saga({name!r}, payload=Nothing, steps=[look])
"""

Make = Callable[..., None]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes an app with these files, and lets it be the only one installed."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_sagas", {})
    configs: list[Any] = []
    monkeypatch.setattr(apps, "get_app_configs", lambda: configs)
    before = set(sys.modules)

    def make(app: str, **files: str) -> None:
        for name, text in {"__init__": "", **files}.items():
            path = tmp_path / app.replace(".", "/") / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        configs.append(SimpleNamespace(name=app))

    yield make
    for name in set(sys.modules) - before:
        if name.split(".")[0].startswith("made_"):
            del sys.modules[name]


def names() -> list[str]:
    return [saga.name for saga in registry.all_sagas()]


def test_a_module_of_sagas_is_found(installed: Make) -> None:
    installed("made_module", sagas=_SAGA.format(name="one"))
    autodiscover()
    assert names() == ["one"]


def test_every_module_of_a_package_of_sagas_is_found(installed: Make) -> None:
    installed(
        "made_package",
        **{
            "sagas/__init__": _SAGA.format(name="zero"),
            "sagas/first": _SAGA.format(name="one"),
            "sagas/more/__init__": "",
            "sagas/more/second": _SAGA.format(name="two"),
        },
    )
    autodiscover()
    assert names() == ["one", "two", "zero"]


def test_an_app_without_sagas_is_passed_by(installed: Make) -> None:
    installed("made_plain", models="")
    installed("made_other", sagas=_SAGA.format(name="one"))
    autodiscover()
    assert names() == ["one"]


def test_an_app_inside_a_package_is_found_by_its_full_name(installed: Make) -> None:
    installed("made_outer")
    installed("made_outer.inner", sagas=_SAGA.format(name="one"))
    autodiscover()
    assert names() == ["one"]


def test_finding_them_twice_defines_nothing_twice(installed: Make) -> None:
    installed("made_twice", sagas=_SAGA.format(name="one"))
    autodiscover()
    autodiscover()
    assert names() == ["one"]


def test_two_apps_with_the_same_saga_are_refused_at_start(installed: Make) -> None:
    installed("made_a", sagas=_SAGA.format(name="one"))
    installed("made_b", sagas=_SAGA.format(name="one"))
    with pytest.raises(DefinitionError, match=r"sagas\.E012"):
        autodiscover()


def test_a_module_that_cannot_be_imported_stops_the_start(installed: Make) -> None:
    installed("made_broken", sagas="import made_nowhere")
    with pytest.raises(ModuleNotFoundError, match="made_nowhere"):
        autodiscover()


def test_the_projects_own_sagas_are_found() -> None:
    assert "order-fulfilment" in names()
