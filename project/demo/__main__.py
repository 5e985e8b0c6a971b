"""Starts everything, plays the scenarios, and serves on when somebody watches."""

from __future__ import annotations

import logging
import os
import secrets
import subprocess
import sys
import threading
from pathlib import Path

from integrations.sandbox.process import RunningSandbox
from project.engines import EnginesBusy
from project.environment import VAR, BadEnvironment, load
from project.supervisor import ChildFailed
from project.world import World, exit_on_sigterm

_USER = "demo"
_SOLD_OUT = "tray"


def main(var: Path = VAR, port: int = 8000) -> None:
    """Run the demo with what it stores in `var`; exit with 1 if a run ended wrongly.

    The shop listens on `port`, or on a free one if that is taken.
    """
    exit_on_sigterm()
    _refuse_production(var)
    var.mkdir(parents=True, exist_ok=True)
    log = (var / "demo.log").open("w")  # closed by nobody: children write until we end
    _say(f"Starting everything. What the processes say is in {log.name}")
    try:
        with World(var, _environment(), log) as world:
            sys.exit(_demonstrate(world, port))
    except KeyboardInterrupt:
        sys.exit("stopped")
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)  # it has said why
    except (EnginesBusy, ChildFailed) as error:
        sys.exit(str(error))


def _refuse_production(var: Path) -> None:
    """It makes a login and orders nobody wants: not where ENVIRONMENT says production."""
    try:
        production = load(var).environment == "production"
    except BadEnvironment as error:
        sys.exit(str(error))
    if production:
        sys.exit("The demo does not run in production; unset ENVIRONMENT.")


def _environment() -> dict[str, str]:
    """Ours without the partners: whatever it names, the demo only meets stand-ins."""
    named = os.environ.items()
    return {name: value for name, value in named if not name.startswith("INTEGRATIONS_")}


def _demonstrate(world: World, port: int) -> int:
    world.manage("migrate", "--verbosity=0")
    partners = world.partners()
    partners.set_stock(_SOLD_OUT, 0)
    shop = world.web(port)
    world.workers()
    _say("The database, the broker, the partners' stand-ins, the shop and its workers run.")
    _enter_django(world)
    wrong = _play_all(shop, partners)
    _say(_addresses(shop, _password()))
    if sys.stdout.isatty():
        _say("Try it. Ctrl-C stops everything.")
        _serve()
    return 1 if wrong else 0


def _enter_django(world: World) -> None:
    """Make this process one of the project's, on the engines of this world."""
    os.environ.update(world.environment)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    import django

    django.setup()
    logging.disable(logging.INFO)  # only the report is to be read here


def _play_all(shop: str, partners: RunningSandbox) -> list[str]:
    """Play every scenario and print its report; give the titles of those that ended wrongly."""
    from project.demo.customer import play
    from project.demo.report import report
    from project.demo.scenarios import SCENARIOS

    wrong = []
    for number, scenario in enumerate(SCENARIOS, 1):
        _say(f"\n=== {number}. {scenario.title}\n")
        run = play(scenario, shop, partners, _say)
        text, right = report(scenario, run, partners.ledger)
        _say(f"\n{text}")
        if not right:
            wrong.append(scenario.title)
    good = len(SCENARIOS) - len(wrong)
    _say(f"\n{good} of {len(SCENARIOS)} runs ended as they must.")
    return wrong


def _password() -> str:
    """Give the demo's login to the admin a new password."""
    from django.contrib.auth import get_user_model

    password = secrets.token_urlsafe(9)
    user, _ = get_user_model().objects.get_or_create(
        username=_USER, defaults={"is_staff": True, "is_superuser": True}
    )
    user.set_password(password)
    user.save()
    return password


def _addresses(shop: str, password: str) -> str:
    return (
        f"\n  Shop      {shop}/"
        f"\n  Sign up   {shop}/sign-up/"
        f"\n  Orders    {shop}/orders/"
        f"\n  Admin     {shop}/admin/      user {_USER}, password {password}"
        f"\n  API       {shop}/api/docs\n"
    )


def _serve() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        _say("\nStopping.")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
