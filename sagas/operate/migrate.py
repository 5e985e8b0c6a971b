"""Migrate: let a run go on with another version of its saga."""

from __future__ import annotations

from typing import Any, Self
from uuid import UUID

from pydantic import Field

from sagas import transitions
from sagas.conf import conf
from sagas.define import registry
from sagas.define.draft import Draft
from sagas.define.migrate import Migration, migrated, migration
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.errors import VerbRefused
from sagas.operate.verb import Operator, Verb, act
from sagas.run.context import condition
from sagas.run.queues import default_queue
from sagas.run.send import nothing
from sagas.states import RunStatus

_TOLD = 3  # versions of which it is told what follows


class Migrate(Verb):
    """Let a run go on with another version of its saga."""

    name = "migrate"
    label = "Migrate"
    past = "migrated"
    summary = "Let the run go on with another version of its saga, which fits what it has done."
    coded = False
    final = False
    foreseen = True

    to: int = Field(ge=1, description="the version; that of the run, if its steps have changed")

    @classmethod
    def ways(cls, target: str, view: RunView) -> list[tuple[str, Self]]:
        newest = registry.versions(view.saga)[-_TOLD:]
        return [(f"To version {number}", cls(to=number)) for number in reversed(newest)]

    def draft(self, saga: Definition | None, view: RunView, worker: Worker) -> Draft:
        new = registry.get(view.saga, self.to)
        found = compared(view, self.to)
        if found.obstacles:
            raise VerbRefused(
                f"Run {view.id} cannot move to version {self.to}: {'; '.join(found.obstacles)}."
            )
        worker = Worker(nothing, condition(new, view), conf().POISON_ATTEMPTS, default_queue())
        return migrated(new, view, found, worker)

    def told(self, view: RunView) -> dict[str, Any]:
        found = compared(view, self.to)
        steps = {"added": list(found.added), "removed": list(found.removed)}
        return {"to": self.to, "from": view.version} | {k: v for k, v in steps.items() if v}

    def done(self, view: RunView, by: Operator, reason: str) -> None:
        transitions.arrange(view)


def migrate(run_id: UUID, to: int, *, by: Operator, reason: str, **how: Any) -> RunStatus:
    """Let a run go on with another version of its saga. Else as ``act``."""
    return act(run_id, Migrate(to=to), by=by, reason=reason, **how)


def compared(view: RunView, to: int) -> Migration:
    """Whether a run can go on with that version, and which steps change.

    Raises:
        UnknownSaga: this code has no such version.
    """
    new = registry.get(view.saga, to)
    if (view.version, view.fingerprint) == (new.version, new.fingerprint):
        return Migration(["it is a run of that version already"])
    return migration(registry.fitting(view.saga, view.version, view.fingerprint), new, view)
