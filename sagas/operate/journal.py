"""What a verb leaves behind: an entry of the audit, and one of Django's own log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.apps import apps

from sagas.define.title import plain
from sagas.define.view import RunView, StepView
from sagas.models import AuditEntry, Run
from sagas.operate import audit
from sagas.wording import words

if TYPE_CHECKING:
    from sagas.operate.verb import Operator, Verb


def journal(
    verb: Verb,
    told: dict[str, Any],
    before: RunView,
    after: RunView,
    by: Operator,
    reason: str,
    approver: Operator | None = None,
    batch: UUID | None = None,
) -> None:
    """Note a verb that was carried out, as the last thing in its transaction.

    Args:
        told: what was asked, as the verb tells it.
    """
    was, now = _difference(_image(before), _image(after))
    log(by, before, f"{verb.title}: {reason}".removesuffix(": "))
    audit.append(
        actor=by,
        approver=approver or "",
        verb=verb.name,
        run=after.id,
        saga=after.saga,
        step=plain(str(told.get("step", ""))),
        reason=reason,
        batch=batch,
        before=was,
        after=now,
        details=told,
    )


def asked_of(entry: AuditEntry) -> str:
    """What a verb was done to, as the run called it then; empty: the run itself."""
    return str(entry.details.get("step") or entry.step)


def log(by: Operator, view: RunView, message: str) -> None:
    """An entry in the log of Django's admin, where it is installed and a user acts."""
    user = getattr(by, "pk", None)
    if user is None or not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.models import CHANGE, LogEntry
    from django.contrib.contenttypes.models import ContentType

    LogEntry.objects.create(
        user_id=user,
        content_type=ContentType.objects.get_for_model(Run),
        object_id=str(view.id),
        object_repr=f"{view.saga} {view.business_key}"[:200],
        action_flag=CHANGE,
        change_message=message,
    )


def _image(view: RunView) -> dict[str, Any]:
    """What a verb may change of a run, without its documents."""
    steps = {f"{row.name} ({row.direction})": _row(row) for row in view.steps.values()}
    return {
        "status": view.status.value,
        "halt": view.halt.value,
        "attention": view.attention,
        "epoch": view.epoch,
        "owner": view.owner,
        "version": view.version,
        **steps,
    }


def _row(row: StepView) -> str:
    """A step in words: its state, and which key it is done with."""
    doubt = ", in doubt" if row.in_doubt else ""
    return f"{words(row.status)}, generation {row.generation}{doubt}"


def _difference(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    names = [n for n in {**before, **after} if before.get(n) != after.get(n)]
    return tuple({n: image[n] for n in names if n in image} for image in (before, after))
