"""The operator's verbs, holds and requests as words of ``manage.py sagas``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sagas import record
from sagas.management.finding import find
from sagas.management.text import printable, table
from sagas.models import Approval, Hold
from sagas.operate.approval import pending, told_of
from sagas.operate.asker import Shell
from sagas.operate.catalogue import VERBS, carry_out, verb_of
from sagas.operate.consequences import consequences
from sagas.operate.hold import hold_or_ask, in_force, lift_or_ask
from sagas.operate.verb import foresee
from sagas.wording import stamp, stands

Options = Mapping[str, Any]


def act(name: str, options: Options) -> str:
    """Carry out a verb of the catalogue."""
    run_id = find(options["id"])
    view = record.read(run_id)
    verb = verb_of(name, _arguments(name, options)).addressed(view)
    if options["dry_run"]:
        told = [
            f"{verb.title}, run {run_id}: nothing is done yet.",
            *consequences(foresee(verb, view)),
        ]
        return "\n".join(printable(line) for line in told)
    answer = carry_out(run_id, verb, by=Shell(), reason=options["reason"])
    if answer.status is None:
        return (
            f"Nothing was done yet: a second person must consent to request {answer.approval} "
            f"({verb.title}), in the admin or through the API."
        )
    return f"{verb.title}: done. Run {run_id} {stands(answer.status)}."


def place_hold(options: Options) -> str:
    """Stop a saga, a queue, a partner or a run."""
    kind, target = options["kind"], options["target"]
    if kind == "run":
        target = str(find(target))
    placed = hold_or_ask(kind, target, by=Shell(), reason=options["reason"])
    if isinstance(placed, Approval):
        return told_of(placed)
    return f"Hold {placed.pk}: {placed} stands still until: manage.py sagas lift {placed.pk}"


def lift_hold(options: Options) -> str:
    """Lift a hold and say how many runs go on."""
    how = {"reason": options["reason"], "per_second": options["per_second"]}
    woken = lift_or_ask(options["hold"], by=Shell(), **how)
    if isinstance(woken, Approval):
        return told_of(woken)
    return f"Lifted hold {options['hold']}: {woken:,} runs go on, staggered."


def list_holds(options: Options) -> str:
    """The holds that are in force."""
    heads = ("HOLD", "WHAT", "SINCE (UTC)", "UNTIL (UTC)", "BY", "LETS THROUGH", "BECAUSE")
    return table(heads, [_row(placed) for placed in in_force()], width=None)


def list_requests(options: Options) -> str:
    """What waits for a second person."""
    rows = [(a.pk, _asked(a), a.run or a.subject, a.asked_by, a.reason) for a in pending()]
    return table(("REQUEST", "VERB", "ON", "ASKED BY", "BECAUSE"), rows, width=None)


def _asked(asked: Approval) -> str:
    return f"{asked.verb} {asked.arguments.get('step', '')}".strip()


def _row(placed: Hold) -> tuple[object, ...]:
    since = stamp(placed.placed_at)
    until = "-" if placed.ends_at is None else stamp(placed.ends_at)
    through = "one run" if placed.probe is not None else "-"
    return (placed.pk, str(placed), since, until, placed.placer, through, placed.reason)


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
