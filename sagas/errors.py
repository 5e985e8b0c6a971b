"""Every error that the engine raises to its users: one root, each leaf with its cure."""

from __future__ import annotations


class SagaError(Exception):
    """Something about a saga is wrong; the message says what, where, and how to mend it."""


class DefinitionError(SagaError):
    """A saga's definition was refused.

    Attributes:
        id: the searchable id of the rule, such as ``sagas.E003``.
        hint: how to mend the definition.
    """

    def __init__(self, rule: str, message: str, hint: str) -> None:
        self.id = rule
        self.message = message
        self.hint = hint
        super().__init__(f"{message} {hint} ({rule})")


class UnknownSaga(SagaError):
    """No saga of that name (and version) is registered."""


class UnknownRun(SagaError):
    """No run has that id."""


class UnknownPartner(SagaError):
    """No step names that partner."""


class PayloadInvalid(SagaError):
    """The payload does not fit its schema, or cannot be stored.

    Attributes:
        subject: what it was for, such as ``saga 'order-fulfilment'``.
        problems: a list of ``{"field": dotted path, "message": reason}``, for whoever sent it.
    """

    def __init__(
        self,
        subject: str,
        problems: list[dict[str, str]],
        safe: list[dict[str, str]] | None = None,
    ) -> None:
        """Args: safe: the same without words that may quote what was sent, for the message."""
        self.subject = subject
        self.problems = problems
        told = problems if safe is None else safe
        listed = "; ".join(f"{p['field'] or 'payload'}: {p['message']}" for p in told)
        super().__init__(f"The payload for {subject} was refused: {listed}.")


class ResultInvalid(SagaError):
    """A stored result does not fit what its step declares now; another step's code asked for it."""


class KeyConflict(SagaError):
    """The same key was used before, with another payload.

    Its message goes back to whoever sent the key, who need not be who started the run: it does not
    name the run. Who may see it finds it by its key.
    """


class StartRefused(SagaError):
    """Too many runs are started: by runs, or of a saga whose backlog is full."""


class BacklogFull(StartRefused):
    """As many runs of the saga wait for their first step as its ``backlog`` lets wait.

    Attributes:
        retry_after: in how many seconds to try again.
    """

    retry_after = 60


class VerbRefused(SagaError):
    """An operator's verb does not fit the run's state; the message says in which state it is."""


class CancelRefused(VerbRefused):
    """The run cannot be cancelled any more; the message says in which state it is."""


class ApprovalNeeded(VerbRefused):
    """The verb needs a second person's consent, which must be asked for; nothing was done."""


class IllegalMove(SagaError):
    """A move that the table of allowed moves does not contain: a bug, never user input."""


class StepTimeout(Exception):
    """The step reached its time limit; raised inside the step's own code."""
