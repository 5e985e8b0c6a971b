"""Pause and resume: stop one run where it stands, and let one go on that stands."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from sagas import transitions
from sagas.define import intervene
from sagas.define.draft import Draft
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.view import RunView, direction_of
from sagas.errors import VerbRefused
from sagas.models import Hold, HoldKind
from sagas.operate.verb import Operator, Verb, act
from sagas.states import RunStatus
from sagas.wording import stands


class Pause(Verb):
    """Stop a run where it stands."""

    name = "pause"
    label = "Pause"
    past = "paused"
    summary = "Stop the run where it stands: what is in flight finishes, nothing new begins."
    coded = False
    final = False

    def draft(self, saga: Definition | None, view: RunView, worker: Worker) -> Draft:
        if view.over:
            raise VerbRefused(f"Run {view.id} {stands(view.status)}; there is nothing to pause.")
        if _paused(view):
            raise VerbRefused(f"Run {view.id} is paused already; resume it, or leave it.")
        return Draft(view)

    def done(self, view: RunView, by: Operator, reason: str) -> None:
        who = {"reason": reason, "placed_by": by.get_username()}
        given = {"kind": HoldKind.RUN, "target": str(view.id), "source": ""}
        _, placed = Hold.objects.get_or_create(**given, lifted_at=None, defaults=who)
        if not placed:  # a hold on a run does not wait for its lock
            raise VerbRefused(f"Run {view.id} is paused already; resume it, or leave it.")


class Resume(Verb):
    """Let a run go on that was paused, or that nothing blocks any more."""

    name = "resume"
    label = "Resume"
    past = "resumed"
    summary = "Let the run go on: one that was paused, or that nothing blocks any more."
    coded = False
    final = False

    def draft(self, saga: Definition | None, view: RunView, worker: Worker) -> Draft:
        if _paused(view):
            draft = Draft(view)
            draft.wake(direction_of(view))
            return draft
        if view.status is not RunStatus.NEEDS_ATTENTION:
            raise VerbRefused(f"Run {view.id} is not paused.")
        if saga is None:
            raise VerbRefused(
                f"Run {view.id} cannot be resumed: the code here does not fit it. Bring the "
                "definition back that it was started with, or migrate the run to another version."
            )
        return intervene.resume(saga, view, worker)

    def done(self, view: RunView, by: Operator, reason: str) -> None:
        if not _paused(view):
            return
        held = Hold.objects.filter(kind=HoldKind.RUN, target=str(view.id), lifted_at=None)
        held.update(lifted_at=Now(), lifted_by=by.get_username())
        if not view.over and view.status is not RunStatus.NEEDS_ATTENTION:
            transitions.look_again([(view, 0.0)])  # what had become due meanwhile is sent at once


def pause(run_id: UUID, *, by: Operator, reason: str, **how: Any) -> RunStatus:
    """Stop a run where it stands. Takes and raises as ``act``."""
    return act(run_id, Pause(), by=by, reason=reason, **how)


def resume(run_id: UUID, *, by: Operator, reason: str, **how: Any) -> RunStatus:
    """Let a run go on that was paused, or that nothing blocks any more.

    Takes and raises as ``act``.
    """
    return act(run_id, Resume(), by=by, reason=reason, **how)


def _paused(view: RunView) -> bool:
    return f"{HoldKind.RUN}:{view.id}" in view.holds
