"""``manage.py sagas batch``: a verb for many runs, tried out first, then followed to its end."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID

from sagas.errors import SagaError
from sagas.management.console import Console
from sagas.management.text import printable, table
from sagas.models import Approval, Batch, BatchStatus, ItemStatus
from sagas.operate.approval import told_of
from sagas.operate.asker import Shell
from sagas.operate.batch_outlook import batch_outlook
from sagas.operate.bulk import confirm_or_ask, discard, draft, stop
from sagas.operate.catalogue import VERBS
from sagas.operate.instruction import instruction
from sagas.operate.selection import Selection
from sagas.operate.tally import StateNow, Tally, followed, summary, tally
from sagas.states import RunStatus
from sagas.wording import words

Options = Mapping[str, Any]
_LOOK = 0.5  # seconds between two looks at a batch that runs


def add_words(words: Any) -> None:
    """The parsers of this module's words."""
    parser = words.add_parser("batch", help="a verb for all runs that match; a trial without --yes")
    parser.add_argument("verb", choices=list(VERBS))
    parser.add_argument("--saga", help="only this one's runs")
    parser.add_argument("--status", choices=[status.value for status in RunStatus])
    parser.add_argument("--error-group", help="only what was stopped by this, exactly")
    parser.add_argument("--tag", help="only runs with this tag")
    parser.add_argument("--owner", help="only runs that this user looks after; '' for nobody's")
    parser.add_argument("--arguments", default="{}", help="JSON: what the verb must be told")
    parser.add_argument("--rate", type=float, help="runs a second at most")
    parser.add_argument("--reason", default="", help="why; kept in the audit")
    parser.add_argument("--yes", action="store_true", help="do it, after the trial")
    showing = words.add_parser("show-batch", help="what a batch did, and where its runs stand now")
    showing.add_argument("batch", type=_uuid, help="its whole id")
    stopping = words.add_parser("stop-batch", help="stop a batch; what is not done yet is left")
    stopping.add_argument("batch", type=_uuid, help="its whole id")


def batch(options: Options) -> str:
    """Try a verb on the runs that match; with ``yes``, have it carried out and follow that.

    Raises:
        SagaError: something was refused or failed while it was carried out.
    """
    console, by = options["console"], Shell()
    chosen = Selection(**{name: options[name] for name in Selection.model_fields})
    told = instruction(options["verb"], _arguments(options["arguments"]))
    how: dict[str, Any] = {"reason": options["reason"], "query": chosen.query}
    made = draft(chosen.runs(by), told, by=by, rate=options["rate"], **how)
    for line in _trial(made, tally(made)):
        console.say(line)
    if options["yes"]:
        if isinstance(done := confirm_or_ask(made.pk, by), Approval):
            return told_of(done)
        return _followed(made, console)
    discard(made.pk, by)
    return "Nothing was done. With --yes it will be."


def show_batch(options: Options) -> str:
    """Say what a batch did and where its runs stand now, and name those that need attention."""
    found = Batch.objects.filter(pk=options["batch"]).first()
    if found is None:
        raise SagaError(f"There is no batch {options['batch']}; a draft is removed after a day.")
    told = tally(found)
    parts = [_line(found, told), *([_reasons(told)] if told.reasons else []), *_stopped(found)]
    return "\n".join(parts)


def stop_batch(options: Options) -> str:
    """Stop a batch and say what is left."""
    stopped = stop(options["batch"], Shell())
    left = tally(stopped).counts[ItemStatus.READY]
    return f"Stopped batch {stopped.pk}; {left:,} of its runs are left as they were."


#: The function for each word.
WORDS: Mapping[str, Callable[[Options], str]] = {
    "batch": batch,
    "show-batch": show_batch,
    "stop-batch": stop_batch,
}


def _trial(made: Batch, told: Tally) -> Iterator[str]:
    found = f"{made.matched:,} runs match{' at least' if made.matched > told.total else ''}"
    yield f"{found}; to {made.verb} fits {told.tried:,} of {told.total:,}."
    if told.reasons:
        yield _reasons(told)
    yield from map(printable, batch_outlook(made))


def _reasons(told: Tally) -> str:
    rows = [(f"{r.count:,}", r.status.word, r.examples[0], r.detail) for r in told.reasons]
    return table(("RUNS", "ARE", "SUCH AS", "BECAUSE"), rows)


def _followed(made: Batch, console: Console) -> str:
    console.say(f"Batch {made.pk} is under way; it goes on without this command.")
    try:
        told = _over(made, console)
    except KeyboardInterrupt:
        return f"Batch {made.pk} goes on. To stop it: manage.py sagas stop-batch {made.pk}"
    bad = told.counts[ItemStatus.REFUSED] + told.counts[ItemStatus.FAILED]
    if bad:
        console.say(_reasons(told))
        raise SagaError(_line(made, told))
    return f"{_line(made, told)}\nLater: manage.py sagas show-batch {made.pk}"


def _line(made: Batch, told: Tally) -> str:
    done = summary(made, told) or f"{told.tried:,} to do"
    return f"Batch {made.pk} is {BatchStatus(made.status).word}. {done[0].upper()}{done[1:]}."


def _stopped(shown: Batch) -> Iterator[str]:
    """A table of the accepted runs that need attention, if there are any."""
    accepted = followed(shown.items.filter(status=ItemStatus.ACCEPTED).order_by("id"))
    items: list[Any] = list(accepted.filter(now__in=_STOPPED)[: _ROWS + 1])
    if items:
        rows = [(i.key, words(i.now), i.run, i.group, i.title) for i in items[:_ROWS]]
        yield table(("KEY", "NOW", "RUN", "STOPPED BY", "TITLE"), rows, width=None)
    if len(items) > _ROWS:
        yield f"... and more: these are the first {_ROWS}."


_STOPPED = (StateNow.FAILED_AGAIN, StateNow.NEEDS_ATTENTION)
_ROWS = 20


def _over(made: Batch, console: Console) -> Tally:
    """What became of it, once it is over."""
    while True:
        made.refresh_from_db()
        told = tally(made)
        if made.status != BatchStatus.RUNNING:
            return told
        console.progress(f"{told.answered:,} of {told.tried:,}")
        time.sleep(_LOOK)


def _arguments(text: str) -> dict[str, Any]:
    given = json.loads(text)
    if not isinstance(given, dict):
        raise SagaError('The arguments are a JSON object, such as {"owner": "ann"}.')
    return given


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no batch's id") from None
