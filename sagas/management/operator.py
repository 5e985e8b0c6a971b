"""The operator's verbs, holds and requests as words of ``manage.py sagas``."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Mapping
from typing import Any

from sagas.management.finding import find
from sagas.management.text import table
from sagas.models import Hold
from sagas.operate.approval import pending
from sagas.operate.catalogue import VERBS, carry_out, verb_of
from sagas.operate.hold import hold, in_force, lift

Options = Mapping[str, Any]


class Shell:
    """Who sits at the command line: they could change the database itself."""

    def has_perm(self, perm: str) -> bool:
        """Whether they may: always."""
        return True

    def get_username(self) -> str:
        """Their name on this machine, marked as such."""
        return f"shell:{getpass.getuser()}"


def act(name: str, options: Options) -> str:
    """Carry out a verb of the catalogue."""
    run_id = find(options["id"])
    verb = verb_of(name, _arguments(name, options))
    answer = carry_out(run_id, verb, by=Shell(), reason=options["reason"])
    if answer.status is None:
        return (
            f"Nothing was done yet: a second person must consent to request {answer.approval}, "
            "in the admin or through the API."
        )
    return f"Run {run_id} is {answer.status.replace('_', ' ')}."


def place_hold(options: Options) -> str:
    """Stop a saga, a queue, a partner or a run."""
    kind, target = options["kind"], options["target"]
    if kind == "run":
        target = str(find(target))
    placed = hold(kind, target, by=Shell(), reason=options["reason"])
    return f"Hold {placed.pk}: {placed} stands still until: manage.py sagas lift {placed.pk}"


def lift_hold(options: Options) -> str:
    """Lift a hold and say how many runs go on."""
    how = {"reason": options["reason"], "per_second": options["per_second"]}
    woken = lift(options["hold"], by=Shell(), **how)
    return f"Lifted hold {options['hold']}: {woken:,} runs go on, staggered."


def list_holds(options: Options) -> str:
    """The holds that are in force."""
    heads = ("HOLD", "WHAT", "SINCE (UTC)", "BY", "LETS THROUGH", "BECAUSE")
    return table(heads, [_row(placed) for placed in in_force()], width=None)


def list_requests(options: Options) -> str:
    """What waits for a second person."""
    rows = [(a.pk, a.verb, a.run, a.asked_by, a.reason) for a in pending()]
    return table(("REQUEST", "VERB", "RUN", "ASKED BY", "BECAUSE"), rows, width=None)


def _row(placed: Hold) -> tuple[object, ...]:
    since = f"{placed.placed_at:%Y-%m-%d %H:%M:%S}"
    through = "one run" if placed.probe is not None else "-"
    return (placed.pk, str(placed), since, placed.placer, through, placed.reason)


def _arguments(name: str, options: Options) -> dict[str, Any]:
    """What the command line says of a verb's fields; what it leaves out is the verb's to say."""
    given: dict[str, Any] = {field: options.get(field) for field in VERBS[name].model_fields}
    for field in ("result", "payload"):
        if given.get(field) is not None:
            given[field] = json.loads(given[field])
    if name == "mark":
        given["happened"] = options["verdict"] == "happened"
    return {field: value for field, value in given.items() if value is not None}


def _word(name: str) -> Callable[[Options], str]:
    return lambda options: act(name, options)


#: The function for each verb of the catalogue.
WORDS: Mapping[str, Callable[[Options], str]] = {name: _word(name) for name in VERBS}
