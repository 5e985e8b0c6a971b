"""What every verb of an operator shares: the right, a reason, the lock, the audit, the message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from sagas import db, record, transitions
from sagas.conf import conf
from sagas.define import registry
from sagas.define.draft import Draft, Happening
from sagas.define.outlook import Outlook, changes, outlook
from sagas.define.plan import Worker
from sagas.define.saga import Definition, problems, safe_problems
from sagas.define.step import Step
from sagas.define.title import current, is_undo, plain, titled
from sagas.define.view import RunView
from sagas.errors import ApprovalNeeded, PayloadInvalid, UnknownSaga, VerbRefused
from sagas.operate.access import Right, require
from sagas.operate.journal import journal
from sagas.operate.moved import demand_unmoved
from sagas.run.context import condition, read_for_conditions, stored
from sagas.run.documents import NotADocument, clean, encode
from sagas.run.send import nothing, send_on_commit
from sagas.states import RunStatus

_LONGEST = 1000


class Operator(Protocol):
    """Who acts: a user of Django's, or whoever sits at the shell."""

    def has_perm(self, perm: str) -> bool: ...

    def get_username(self) -> str: ...


class Verb(BaseModel):
    """Something that an operator does to one run; its fields are what it must be told.

    Attributes:
        name: as every door calls it.
        label: as a button says it.
        past: what is told of runs for which it was accepted, after their number.
        summary: what it does, in a sentence.
        coded: whether it needs the saga's definition, which may be gone.
        final: whether it decides something that no other verb takes back.
        foreseen: whether people are told before they confirm it what follows.
        reasoned: whether it must be said why.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ClassVar[str]
    label: ClassVar[str]
    past: ClassVar[str]
    summary: ClassVar[str]
    coded: ClassVar[bool] = True
    final: ClassVar[bool] = True
    foreseen: ClassVar[bool] = False
    reasoned: ClassVar[bool] = True
    do_not_call_in_templates: ClassVar[bool] = True  # Django calls what it can, a class too

    @classmethod
    def target(cls, view: RunView, step: str) -> str:
        """What it is done to, as a run calls that now; empty: the run itself."""
        return step if "step" in cls.model_fields else ""

    @classmethod
    def explained(cls, target: str) -> str:
        """What it does to that, in a sentence; empty: to whatever each run has."""
        return cls.summary

    @classmethod
    def ways(cls, target: str, view: RunView) -> list[tuple[str, Self]]:
        """The ways in which it can be taken, if what follows depends on that: each in words."""
        return [("", cls.model_validate({"step": target} if "step" in cls.model_fields else {}))]

    @classmethod
    def confirmed(cls, target: str, outlook: Outlook) -> str:
        """The button that carries it out, by what it does: to that, and to the run.

        Args:
            outlook: how the run goes on then.
        """
        return f"{cls.label} {target}".strip()

    @property
    def rules(self) -> tuple[str, ...]:
        """The names by which rules of ``SAGAS["FOUR_EYES"]`` demand a second person for it."""
        return (self.name,)

    @property
    def title(self) -> str:
        """The verb and what it is done to, as a button says it."""
        return f"{self.label} {getattr(self, 'step', '')}".strip()

    def addressed(self, view: RunView) -> Self:
        """The same, with what it is done to as the run calls that now."""
        if (step := getattr(self, "step", None)) is None:
            return self
        return self.model_copy(update={"step": self.target(view, step)})

    def draft(self, saga: Definition | None, view: RunView, worker: Worker) -> Draft:
        """The verb as moves of this run. It may write to the view that it is given.

        Args:
            saga: the definition that the run pins; None only for a verb that is not ``coded``.

        Raises:
            VerbRefused: it does not fit the run's state.
            PayloadInvalid: what it was told does not fit the saga.
        """
        raise NotImplementedError

    def told(self, view: RunView) -> dict[str, Any]:
        """What the log keeps of what was asked; from the run as it was before."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def done(self, view: RunView, by: Operator, reason: str) -> None:
        """Called in the same transaction when the moves are written."""


class StepVerb(Verb):
    """A verb for a step, or for the compensation of one in a run that is being undone.

    Attributes:
        undoing: its summary for a compensation.
    """

    undoing: ClassVar[str]

    step: str

    @classmethod
    def target(cls, view: RunView, step: str) -> str:
        saga = registry.fitting(view.saga, view.version, view.fingerprint)
        row = current(saga, view, step)
        return titled(row) if row is not None else step

    @classmethod
    def explained(cls, target: str) -> str:
        if not target:
            return f"{cls.summary} Where undoing failed: {cls.undoing[0].lower()}{cls.undoing[1:]}"
        return cls.undoing if is_undo(target) else cls.summary


@db.transacted
def act(
    run_id: UUID,
    verb: Verb,
    *,
    by: Operator,
    reason: str,
    seen: str | None = None,
    approver: Operator | None = None,
    batch: UUID | None = None,
) -> RunStatus:
    """Do what a person asks of a run, in the caller's transaction, and note who, what and why.

    Args:
        reason: why; required of most verbs.
        seen: the imprint of the run as the person saw it; None: however it stands now.
        approver: the second person who has consented.
        batch: the batch that this is a part of.

    Returns:
        the run's status now.

    Raises:
        django.core.exceptions.PermissionDenied: the operator may not change runs of this saga.
        UnknownRun: there is no such run.
        UnknownSaga: this code does not know the run's saga, or knows other steps of it.
        VerbRefused: it does not fit the run's state, the run has moved since it was seen, or
            there is no reason.
        ApprovalNeeded: a second person must consent; nothing was done.
        PayloadInvalid: what the verb was told does not fit the saga.
    """
    require(by, Right.CHANGE)
    why = because(verb.name, reason, needed=verb.reasoned)
    view = record.read_locked(run_id)
    require(by, Right.CHANGE, view.saga)
    if approver is None and needs_approval(verb, view.saga):
        raise ApprovalNeeded(
            f"To {verb.name} a run of {view.saga!r} needs a second person's consent. "
            "Nothing was done: ask for it."
        )
    demand_unmoved(view, seen)
    verb = verb.addressed(view)
    told, before = verb.told(view), view.copy()
    draft = _drafted(verb, view)
    data = {"by": by.get_username(), "why": why, **told}
    draft.events.insert(0, Happening("", None, "", verb.name, 0, _logged(data)))
    transitions.write(draft)
    verb.done(view, by, why)
    journal(verb, told, before, view, by, why, approver, batch)
    saga = registry.fitting(view.saga, view.version, view.fingerprint)
    if saga is not None:
        send_on_commit(saga, view, draft.to_send)
    return view.status


def fits(verb: Verb, view: RunView) -> None:
    """Try a verb on a run without doing anything; the view stays as it is.

    Raises:
        VerbRefused, UnknownSaga, PayloadInvalid: it would be refused, and why.
    """
    _tried(verb, view)


def foresee(verb: Verb, view: RunView) -> Outlook:
    """How a run would go on after a verb, of which nothing is done. Raises as ``fits``."""
    after = _tried(verb, view)
    saga = registry.fitting(after.saga, after.version, after.fingerprint)  # perhaps another version
    return changes(outlook(saga, after), view, after)


def _tried(verb: Verb, view: RunView) -> RunView:
    """A copy of the run as the verb leaves it."""
    if (saga := definition(verb, view)) is not None:
        read_for_conditions(saga, view)  # once, however many verbs are tried
    return _drafted(verb, view.copy()).view


def steps(count: int) -> str:
    """How many steps, in words."""
    return f"{count} step{'s' * (count != 1)}"


def because(name: str, reason: str, *, needed: bool = True) -> str:
    """The reason as it is kept.

    Args:
        name: what it is a reason for: a verb's name.
        needed: whether there must be one.

    Raises:
        VerbRefused: there is none.
    """
    why = clean(reason, _LONGEST).strip()
    if needed and not why:
        raise VerbRefused(f"To {name} needs a reason: say why, for those who come after you.")
    return why


def needs_approval(verb: Verb, saga: str) -> bool:
    """Whether a second person must consent to a verb on a run of this saga."""
    return any(ruled(rule, [saga]) for rule in verb.rules)


def ruled(rule: str, sagas: Iterable[str]) -> bool:
    """Whether ``SAGAS["FOUR_EYES"]`` has this rule for one of these sagas, or for all."""
    rules = conf().FOUR_EYES
    return any(rule in rules.get(name, ()) for name in (*sagas, "*"))


def definition(verb: Verb, view: RunView) -> Definition | None:
    """The definition that a run pins; None where it is gone and the verb needs none.

    Raises:
        UnknownSaga: the verb needs it.
    """
    try:
        return registry.pinned(view.saga, view.version, view.fingerprint)
    except UnknownSaga:
        if verb.coded:
            raise
        return None


def document(saga: Definition, name: str, value: Any) -> str | None:
    """What a person says that a step answered, as it is stored. None says nothing.

    Raises:
        PayloadInvalid: it does not fit what the step declares.
    """
    step: Step | None = saga.steps.get(plain(name))
    if value is None or step is None:
        return None
    try:
        return encode(stored(step, value), conf().MAX_DOCUMENT_BYTES)
    except ValidationError as error:
        wrong, safe = _of_result(problems(error)), _of_result(safe_problems(error))
    except ValueError as error:
        wrong = safe = [{"field": "result", "message": str(error)}]
        if not isinstance(error, NotADocument):  # whose words quote nothing
            safe = [{"field": "result", "message": type(error).__name__}]
    raise PayloadInvalid(f"the result of step {name!r}", wrong, safe)


def _of_result(found: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{**one, "field": f"result.{one['field']}".rstrip(".")} for one in found]


def _drafted(verb: Verb, view: RunView) -> Draft:
    saga = definition(verb, view)
    holds = condition(saga, view) if saga is not None else nothing
    return verb.draft(saga, view, Worker(nothing, holds))


def _logged(data: dict[str, Any]) -> dict[str, Any]:
    """For the run's log: which step, and never data that may be somebody's; the audit keeps it."""
    return {("of" if k == "step" else k): v for k, v in data.items() if k not in _DOCUMENTS}


_DOCUMENTS = frozenset({"result", "payload", "changed"})
