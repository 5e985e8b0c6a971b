"""The measured saga: four steps of no work, three of them with a compensation of no work."""

from pydantic import BaseModel

from bench import finish, statements
from sagas.api import Refused, Run, Saga, step

statements.count_if_asked()


class Work(BaseModel):
    """Whether the last step refuses."""

    failing: bool


@step
def first(run: Run[Work]) -> None:
    """Do nothing."""


@first.compensate
def undo_first(run: Run[Work]) -> None:
    """Undo nothing, last of all."""
    finish.cross()


@step
def second(run: Run[Work]) -> None:
    """Do nothing."""


@second.compensate
def undo_second(run: Run[Work]) -> None:
    """Undo nothing."""


@step
def third(run: Run[Work]) -> None:
    """Do nothing."""


@third.compensate
def undo_third(run: Run[Work]) -> None:
    """Undo nothing."""


@step(harmless=True)
def fourth(run: Run[Work]) -> Refused | None:
    """Do nothing, or refuse."""
    if run.payload.failing:
        return Refused("as asked")
    finish.cross()
    return None


four_steps = Saga("bench-four-steps", payload=Work, steps=[first, second, third, fourth])
