"""Who has seen a run as it stands may act on it; the others are told what changed."""

from __future__ import annotations

from collections.abc import Iterator

from sagas.define.title import titled
from sagas.define.view import RunView, changed, direction_of
from sagas.errors import VerbRefused
from sagas.models import AuditEntry
from sagas.operate.journal import asked_of
from sagas.states import ACTIVE_RUNS, CURRENT_STEPS, Direction
from sagas.wording import clock, stands


def demand_unmoved(view: RunView, seen: str | None) -> None:
    """Let pass only who has seen the run as it stands.

    Args:
        view: the run, which is locked.
        seen: its imprint as they saw it; None: however it stands.

    Raises:
        VerbRefused: it stands otherwise; the message says what changed, and who acted last.
    """
    if seen is not None and view.imprint != seen:
        told = ", ".join(_told(view, seen))
        raise VerbRefused(
            f"Run {view.id} has moved since you looked: {told} now.{_last(view)} Look again."
        )


def _told(view: RunView, seen: str) -> Iterator[str]:
    parts = changed(seen, view.imprint)
    if "run" in parts:
        forward = view.status in ACTIVE_RUNS[Direction.FORWARD]
        turning = " and will turn back" if view.halt and forward else ""
        yield f"it {stands(view.status)}{turning}"
    if "owner" in parts:
        yield f"{view.owner or 'nobody'} looks after it"
    if "steps" in parts:
        yield from _steps(view)


def _steps(view: RunView) -> Iterator[str]:
    rows = [row for row in view.rows(direction_of(view)) if row.status in CURRENT_STEPS]
    for row in rows[:_MOST]:
        tried = f" (attempt {row.attempt})" if row.attempt > 1 else ""
        yield f"{titled(row)} {stands(row.status)}{tried}"


_MOST = 3


def _last(view: RunView) -> str:
    """Who acted last, which need not be what moved it."""
    entry = AuditEntry.objects.filter(run=view.id).order_by("-number").first()
    if entry is None:
        return ""
    what = f"{entry.verb} {asked_of(entry)}".strip()
    return f" The last to act was {entry.actor} ({what}, {clock(entry.at)})."
