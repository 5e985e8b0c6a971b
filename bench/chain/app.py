"""A chain of four tasks of no work, with an errback that publishes a chain of compensations.

Its Celery application has the options of the project's own, for the broker and the tasks, but
neither Django nor a result store: nothing here needs them.
"""

from typing import Any

from celery import Celery, Signature, chain
from celery.app.task import Context

from bench import finish
from project.celery import app as _ours


class Refused(Exception):
    """The fourth task refuses."""


app = Celery("chain", fixups=[])
app.conf.update(dict(_ours.conf.changes or {}) | {"result_backend": "disabled://"})


@app.task
def first(run: str) -> None:
    """Do nothing."""


@app.task
def second(run: str) -> None:
    """Do nothing."""


@app.task
def third(run: str) -> None:
    """Do nothing."""


@app.task(throws=(Refused,))  # logged in a line, without a traceback
def fourth(run: str, failing: bool) -> None:
    """Do nothing, or refuse."""
    if failing:
        raise Refused
    finish.cross()


@app.task
def undo_first(run: str) -> None:
    """Undo nothing."""
    finish.cross()


@app.task
def undo_second(run: str) -> None:
    """Undo nothing."""


@app.task
def undo_third(run: str) -> None:
    """Undo nothing."""


@app.task
def undo(request: Context, error: Exception, trace: object) -> None:
    """The errback. Of this form Celery calls it in the failing task's process: no message more."""
    assert request.args, "every task here has the run's id"
    run = request.args[0]
    chain(undo_third.si(run), undo_second.si(run), undo_first.si(run)).apply_async()


def canvas(run: str, *, failing: bool) -> Signature[Any]:
    """The chain of one run."""
    links = first.si(run), second.si(run), third.si(run), fourth.si(run, failing)
    whole: Signature[Any] = chain(*links)
    whole.on_error(undo.s())
    return whole
