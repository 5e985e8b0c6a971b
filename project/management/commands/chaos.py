"""``manage.py chaos``: run sagas in a private world full of faults, and check every promise."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from project.chaos import campaign, report
from project.chaos.campaign import Campaign
from project.chaos.mutants import MUTANTS
from project.chaos.nemesis import KINDS, NAMES
from project.chaos.rabbitmq import NotInstalled
from project.chaos.world import Plan
from project.supervisor import ChildFailed
from project.world import exit_on_sigterm
from sagas.define import registry
from sagas.define.saga import Definition
from sagas.errors import SagaError


class Command(BaseCommand):
    """Parses the command line, runs a campaign, prints its report; fails if a promise broke."""

    help = (
        "Run sagas in a private world (its own engines, partner, web and workers) with faults, "
        "then check that nothing was lost, doubled or stuck. Exits with 1 if a promise broke. "
        "Faults: " + "; ".join(f"{kind.name}: {kind.what}" for kind in KINDS) + "."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--runs", type=int, default=200, help="runs to start at least (default 200)"
        )
        parser.add_argument("--seed", type=int, default=1, help="of faults and fates (default 1)")
        parser.add_argument(
            "--seconds", type=float, default=60, help="the faults go on at least so long"
        )
        parser.add_argument(
            "--faults", default=",".join(NAMES), help="which, with commas; default all; or none"
        )
        parser.add_argument("--broker", choices=["redis", "rabbitmq"], default="redis")
        parser.add_argument("--saga", help="one of yours, its steps' code replaced by a partner's")
        parser.add_argument("--payload", default="{}", help="JSON for that saga's runs")
        parser.add_argument("--results", default="{}", help="JSON: what its steps answer, by name")
        parser.add_argument("--processes", type=int, default=8, help="of each of two workers")
        parser.add_argument("--mutant", choices=sorted(MUTANTS), help="break the engine on purpose")
        parser.add_argument("--log", type=Path, help="a file for what the processes say")
        parser.add_argument("--json", action="store_true", help="print the report as data")

    def handle(self, *args: Any, **options: Any) -> None:
        exit_on_sigterm()
        asked = _campaign(options)
        with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
            path = Path(folder)
            with (options["log"] or path / "processes.log").open("w") as echo:
                try:
                    outcome = campaign.run(asked, path, echo, self._say)
                except (ChildFailed, NotInstalled) as error:
                    raise CommandError(str(error)) from None
        self.stdout.write(
            json.dumps(report.document(asked, outcome), indent=2)
            if options["json"]
            else report.text(asked, outcome)
        )
        if report.failed(asked, outcome):
            raise CommandError("A promise was broken, or too little happened to show anything.")

    def _say(self, what: str) -> None:
        self.stderr.write(what)


def _campaign(options: dict[str, Any]) -> Campaign:
    if options["runs"] < 1 or options["processes"] < 1:
        raise CommandError("--runs and --processes must be at least 1.")
    faults = () if options["faults"] == "none" else tuple(options["faults"].split(","))
    if unknown := [name for name in faults if name not in NAMES]:
        raise CommandError(f"No fault is named {unknown[0]!r}. There are: {', '.join(NAMES)}.")
    sagas, payload = _sagas(options["saga"], _json("--payload", options["payload"]))
    plan = Plan(
        seed=options["seed"],
        broker=options["broker"],
        processes=options["processes"],
        mutant=options["mutant"] or "",
        results=json.dumps(_json("--results", options["results"])),
    )
    return Campaign(plan, options["runs"], options["seconds"], faults, sagas, payload)


def _sagas(
    name: str | None, payload: dict[str, Any]
) -> tuple[dict[str, Definition], dict[str, Any]]:
    if name is None:
        from project.chaos.flows.neighbours import neighbour
        from project.chaos.flows.sagas import asked, bare, forked, keyed

        own: tuple[Definition, ...] = (keyed, asked, bare, forked, neighbour)
        return {saga.name: saga for saga in own}, {"number": 1}
    try:
        saga = registry.get(name)
        saga.validated(payload)
    except SagaError as error:
        raise CommandError(str(error)) from None
    return {name: saga}, payload


def _json(option: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise CommandError(f"{option} is no JSON: {error}.") from None
    if not isinstance(found, dict):
        raise CommandError(f"{option} must be a JSON object, such as {{}}.")
    return found
