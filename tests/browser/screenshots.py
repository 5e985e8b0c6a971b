"""Takes the pictures of the console that docs/ shows: `python -m tests.browser.screenshots`.

They are of the demo's orders, and of one that needs a person, in a world of their own that is gone
afterwards. A page that breaks the content policy or throws an error ends it with 1.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Page, sync_playwright

from integrations.sandbox.process import RunningSandbox
from project.demo.scenarios import SCENARIOS, Scenario
from project.world import World, exit_on_sigterm
from tests.browser import chromium
from tests.browser.audit import in_both_schemes
from tests.browser.people import PASSWORD, login
from tests.browser.visits import Visits

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"

STUCK = Scenario(
    "The courier refuses the parcel after the charge, so a person is asked",
    ends="needs_attention",
    claims=(),
    faults=({"fault": "refuse", "service": "shipping", "operation": "book_courier"},),
)


class Shot(NamedTuple):
    """A picture's name, and its address with `{stuck}` and `{batch}` for their ids."""

    name: str
    address: str
    height: int = 800


SHOTS = (
    Shot("overview", "/admin/sagas/", 1000),
    Shot("runs", "/admin/sagas/run/", 640),
    Shot("run", "/admin/sagas/run/{stuck}/change/", 1400),
    Shot("retry", "/admin/sagas/run/{stuck}/do/retry/?step=book_courier", 640),
    Shot("batch", "/admin/sagas/batch/{batch}/change/", 800),
)

_OPERATOR = "ann"
_OURS = ("DATABASE_URL", "BROKER_URL", "REDIS_URL", "INTEGRATIONS_", "ENVIRONMENT")


def main(images: Path = IMAGES) -> None:
    """Write `console-NAME-light.png` and `console-NAME-dark.png` of every shot into `images`."""
    exit_on_sigterm()
    images.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="sagas-shots-") as var,
        World(Path(var), _environment(), sys.stderr) as world,
    ):
        world.manage("migrate", "--verbosity=0")
        partners, address = world.partners(), world.web(0)
        world.workers()
        problems = _shoot(images, address, _sample(world, address, partners))
    if problems:
        sys.exit("\n".join(problems))


def _environment() -> dict[str, str]:
    """Without the engines and partners that it names: what is shown here is made here."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def _sample(world: World, address: str, partners: RunningSandbox) -> Mapping[str, str]:
    """Play the orders, the stuck one last, and let an operator in; give the runs' ids by name."""
    os.environ.update(world.environment)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    import django

    django.setup()
    from django.contrib.auth.models import Group, User

    from project.demo.customer import play
    from sagas.models import Run
    from sagas.operate.bulk import draft
    from sagas.operate.instruction import Instruction

    operator = User.objects.create_user(_OPERATOR, password=PASSWORD, is_staff=True)
    operator.groups.add(Group.objects.get(name="Saga operators"))
    runs = [play(scenario, address, partners) for scenario in (*SCENARIOS, STUCK)]
    how: dict[str, Any] = {"by": operator, "reason": "the carrier is back"}
    tried = draft(Run.objects.all(), Instruction("retry"), **how)
    return {"stuck": str(runs[-1].id), "batch": str(tried.pk)}


def _shoot(images: Path, address: str, names: Mapping[str, str]) -> list[str]:
    with sync_playwright() as playwright, chromium.launch(playwright) as browser:
        visits = Visits(browser, address)
        page = visits.page(viewport={"width": 1280, "height": 800})
        login(page, _OPERATOR)
        for shot in SHOTS:
            page.set_viewport_size({"width": 1280, "height": shot.height})
            page.goto(shot.address.format(**names))
            _take(page, images, shot.name)
        visits.close()
    return visits.problems


def _take(page: Page, images: Path, name: str) -> None:
    for scheme in in_both_schemes(page):
        path = images / f"console-{name}-{scheme}.png"
        page.screenshot(path=path, type="png")
        print(path, flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
