"""Assign: say who looks after a run."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from pydantic import Field

from sagas.define.draft import Draft
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.errors import VerbRefused
from sagas.operate.access import Right, within
from sagas.operate.verb import Operator, Verb, act
from sagas.states import RunStatus
from sagas.wording import stands


class Assign(Verb):
    """Say who looks after a run."""

    name = "assign"
    label = "Assign"
    past = "assigned"
    summary = "Say who looks after this run. It changes nothing else."
    coded = False
    final = False
    reasoned = False

    owner: str = Field(max_length=150, description="a user's name; empty: nobody")

    def draft(self, saga: Definition | None, view: RunView, worker: Worker) -> Draft:
        if view.over:
            raise VerbRefused(
                f"Run {view.id} {stands(view.status)}; nobody needs to look after it any more."
            )
        self._demand_reader(view.saga)
        draft = Draft(view, owner=self.owner)
        view.owner = self.owner
        return draft

    def _demand_reader(self, saga: str) -> None:
        user = self._reader
        reads = user is not None and user.has_perm(Right.READ) and within(user, Right.READ, saga)
        if self.owner and not reads:
            raise VerbRefused(f"No active user {self.owner!r} may look at runs of {saga!r}.")

    @cached_property
    def _reader(self) -> Any:
        """The one who shall look after it; looked up once, as a trial asks for many runs."""
        users = get_user_model()._default_manager.filter(is_active=True)
        named = {get_user_model().USERNAME_FIELD: self.owner}
        return users.filter(**named).first() if self.owner else None


def assign(run_id: UUID, owner: str, *, by: Operator, reason: str = "", **how: Any) -> RunStatus:
    """Say who looks after a run; an empty name: nobody. Takes and raises as ``act``."""
    return act(run_id, Assign(owner=owner), by=by, reason=reason, **how)
