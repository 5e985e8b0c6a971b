"""The liveness invariant, counted on the rows of a database."""

from __future__ import annotations

from uuid import UUID

from sagas import db
from sagas.states import (
    ACTIVE_RUNS,
    MOVING_RUNS,
    SCHEDULED_STEPS,
    Direction,
    RunStatus,
    StepStatus,
    sql_list,
)

_BACK = sql_list(ACTIVE_RUNS[Direction.BACKWARD])
#: Those runs in SQL, for who asks on a connection of their own.
STRANDED = f"""
SELECT r.id FROM sagas_run r
WHERE (r.status IN ({sql_list(MOVING_RUNS)}) AND NOT EXISTS (
    SELECT 1 FROM sagas_step s WHERE s.run_id = r.id
      AND s.direction = CASE WHEN r.status IN ({_BACK}) THEN '{Direction.BACKWARD}'
                             ELSE '{Direction.FORWARD}' END
      AND (s.status = '{StepStatus.IN_FLIGHT}' OR (s.status IN ({sql_list(SCHEDULED_STEPS)})
        AND (s.due_at IS NOT NULL OR s.signal <> '')))))
  OR (r.status = '{RunStatus.NEEDS_ATTENTION}' AND r.wake_at IS NULL AND EXISTS (
    SELECT 1 FROM sagas_step s WHERE s.run_id = r.id AND s.status = '{StepStatus.IN_FLIGHT}'))
ORDER BY r.id"""


def stranded_runs() -> list[UUID]:
    """The runs that are active with nothing claimable, or stopped with an attempt nobody looks at.

    Such a run is pending, running or compensating, and none of its steps in that direction is in
    flight, due at some time (``due_at``), or waits for a signal. A hold makes no difference: what
    it delays is still due. Or it needs attention with a step in flight, and no sweep will see
    whether that is lost. Counted from the rows alone, in one statement that reads every unfinished
    run, so that a fault of the planner cannot hide itself.
    """
    return [run_id for (run_id,) in db.execute(STRANDED)]
