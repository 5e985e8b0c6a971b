"""The workflow: four steps of no work, and compensations where the last one refuses."""

import os

from dbos import DBOS, DBOSConfig

from bench import finish, statements

statements.count_if_asked()

QUEUE = "bench"


class Refused(Exception):
    """The fourth step refuses."""


@DBOS.step()
def first() -> None:
    """Do nothing."""


@DBOS.step()
def second() -> None:
    """Do nothing."""


@DBOS.step()
def third() -> None:
    """Do nothing."""


@DBOS.step()
def fourth(failing: bool) -> None:
    """Do nothing, or refuse."""
    if failing:
        raise Refused
    finish.cross()


@DBOS.step()
def undo_first() -> None:
    """Undo nothing."""
    finish.cross()


@DBOS.step()
def undo_second() -> None:
    """Undo nothing."""


@DBOS.step()
def undo_third() -> None:
    """Undo nothing."""


@DBOS.workflow()
def four_steps(failing: bool) -> None:
    """Do the steps; when the last one refuses, undo the others in reverse."""
    first()
    second()
    third()
    try:
        fourth(failing)
    except Refused:
        undo_third()
        undo_second()
        undo_first()


def launch(executor: str, threads: int) -> None:
    """Run this process as one worker of the application, with so many threads."""
    configuration: DBOSConfig = {
        "name": "bench",
        "system_database_url": os.environ["DATABASE_URL"],
        "executor_id": executor,
        "max_executor_threads": threads,
        "run_migrations": False,  # `migrate` was run before, once for both workers
        "log_level": "ERROR",
    }
    DBOS(config=configuration)
    DBOS.launch()
