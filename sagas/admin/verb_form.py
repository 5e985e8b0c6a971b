"""The form of a verb: what it must be told, and for a changed input the fields of the saga's."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from pydantic import BaseModel

from sagas import record
from sagas.admin.inputs import PREFIX, JSONText, document, fields, reason_field
from sagas.conf import conf
from sagas.define import registry
from sagas.define.redact import redact
from sagas.define.saga import Definition
from sagas.define.title import is_undo
from sagas.define.view import RunView
from sagas.errors import PayloadInvalid, SagaError
from sagas.operate.catalogue import verb_of
from sagas.operate.restart import Restart
from sagas.operate.retry import Retry
from sagas.operate.verb import Verb, fits
from sagas.states import Direction, StepStatus
from sagas.wording import words

_REASONS = {"mark": "Evidence", "resolve": "What was done instead"}


class VerbForm(forms.Form):
    """What one verb must be told about one run, why, and how the run stood that one saw.

    Args:
        kind: the verb.
        view: the run as it is.
        saga: its definition; None: it is gone.
        user: who fills it in.
        step: the step that was chosen before.
        revealed: whether redacted fields are shown.
    """

    seen = forms.CharField(widget=forms.HiddenInput)

    def __init__(
        self,
        kind: type[Verb],
        view: RunView,
        saga: Definition | None,
        user: Any,
        *args: Any,
        step: str = "",
        revealed: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.kind, self.saga = kind, saga
        self.current: dict[str, Any] = json.loads(record.complete(view))
        self.hidden = frozenset() if revealed or saga is None else _hidden(saga, self.current)
        self.initial = {"seen": view.imprint, "step": step}
        self.fixed = _fixed(view, step, self.current) if kind is Retry else ""
        for name in kind.model_fields:
            self.fields |= self._of(name, view, user)
        self.fields["reason"] = reason_field(_REASONS.get(kind.name, "Why"), required=kind.reasoned)

    @property
    def inputs(self) -> list[Any]:
        """The bound fields of the run's input, if it can be changed here."""
        return [field for field in self if field.name.startswith(PREFIX)]

    @property
    def asked(self) -> list[Any]:
        """The other bound fields that are to be filled in."""
        return [field for field in self.visible_fields() if not field.name.startswith(PREFIX)]

    def verb(self) -> Verb:
        """The verb as it was filled in; to be called when the form is valid.

        Raises:
            sagas.errors.VerbRefused: what was filled in does not fit it.
        """
        told = {name: self._told(name) for name in self.kind.model_fields}
        return verb_of(self.kind.name, {n: v for n, v in told.items() if v is not None})

    def refuse(self, error: PayloadInvalid) -> None:
        """Show beside the fields what the saga's model says of them."""
        for problem in error.problems:
            field, _, rest = problem["field"].partition(".")
            where = next((f for f in (f"{PREFIX}{field}", field) if f in self.fields), None)
            at = f"{rest}: " if rest and where else ""
            self.add_error(where, f"{at}{problem['message']}")

    def _of(self, name: str, view: RunView, user: Any) -> dict[str, forms.Field]:
        match name:
            case "step":
                return {"step": _step(self.kind, view)}
            case "payload":
                model = self.saga.payload if self.saga is not None and not self.fixed else None
                return dict(fields(model, self.current, self.hidden)) if model else {}
            case "happened":
                did = "was undone" if is_undo(self.initial["step"]) else "happened"
                did_not = "was not undone" if is_undo(self.initial["step"]) else "did not happen"
                words = [("true", f"It {did}"), ("false", f"It {did_not}")]
                radio = forms.ChoiceField(choices=words, widget=forms.RadioSelect)
                return {"happened": radio}
            case "again":
                return {"again": _again(Restart.model_fields["again"].description or "")}
            case "owner":
                return {"owner": _owner(user)}
            case "to":
                return {"to": _version(view)}
        undo = is_undo(self.initial["step"])  # nothing sees what a compensation answers
        return {} if undo else {"result": _result(self.kind)}

    def _told(self, name: str) -> Any:
        if name == "payload":
            return self._payload()
        if name == "happened":
            return self.cleaned_data[name] == "true"
        return self.cleaned_data.get(name)

    def _payload(self) -> dict[str, Any] | None:
        """The changed input; None if it was left as it is."""
        if self.saga is None or self.kind is not Retry or self.fixed:
            return None
        model: type[BaseModel] = self.saga.payload
        unasked = {name for name in model.model_fields if f"{PREFIX}{name}" not in self.data}
        entered = document(model, self.cleaned_data, self.current, self.hidden | unasked)
        plain = json.loads(json.dumps(entered, default=float))
        return None if plain == self.current else plain


def _fixed(view: RunView, step: str, current: dict[str, Any]) -> str:
    """Why the run's input cannot be changed now; empty: it can."""
    try:
        fits(Retry(step=step, payload=current), view)
    except SagaError as error:
        return str(error)
    return ""


def _hidden(saga: Definition, current: dict[str, Any]) -> frozenset[str]:
    shown = redact(current, conf().REDACT, saga.payload)
    return frozenset(name for name in current if shown.get(name) != current[name])


def _step(kind: type[Verb], view: RunView) -> forms.Field:
    if kind is not Restart:
        return forms.CharField(widget=forms.HiddenInput)
    rows = [r for r in view.rows(Direction.FORWARD) if r.status is not StepStatus.PENDING]
    choices = [(row.name, f"{row.name} ({words(row.status)})") for row in rows]
    return forms.ChoiceField(choices=choices, label="From which step")


def _again(described: str) -> forms.Field:
    return forms.BooleanField(required=False, label="Repeat what happened", help_text=described)


def _owner(user: Any) -> forms.Field:
    return forms.CharField(
        required=False,
        max_length=150,
        initial=user.get_username(),
        label="Who looks after it",
        help_text="A user's name; empty: nobody.",
    )


def _version(view: RunView) -> forms.Field:
    known = reversed(registry.versions(view.saga))
    choices = [(str(number), f"version {number}") for number in known]
    return forms.ChoiceField(choices=choices, label="To which version")


def _result(kind: type[Verb]) -> forms.Field:
    described = kind.model_fields["result"].description or ""
    text = f"JSON: {described}. Empty: nothing."
    return JSONText(required=False, label="Its result", help_text=text)
