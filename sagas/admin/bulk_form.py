"""The form of a verb for many runs: what it must be told, why, and how fast it is done."""

from __future__ import annotations

from typing import Any

from django import forms

from sagas.admin.inputs import JSONText, reason_field
from sagas.conf import conf
from sagas.operate.bulk import FASTEST, SLOWEST
from sagas.operate.instruction import SINGLE, Instruction, instruction
from sagas.operate.verb import Verb


class BulkForm(forms.Form):
    """What one verb must be told for every run; the step may be left open.

    Args:
        kind: the verb.
        user: who fills it in.
    """

    def __init__(self, kind: type[Verb], user: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        for name, field in kind.model_fields.items():
            if name not in SINGLE:
                self.fields[name] = _field(name, field.description or "", user)
        self.fields["reason"] = reason_field(of="with each run", required=kind.reasoned)
        self.fields["rate"] = _rate()

    def instruction(self) -> Instruction:
        """The verb as it was filled in; to be called when the form is valid.

        Raises:
            sagas.errors.VerbRefused: what was filled in does not fit it.
        """
        told = {name: self._told(name) for name in self.kind.model_fields if name not in SINGLE}
        return instruction(self.kind.name, {n: v for n, v in told.items() if v is not None})

    def _told(self, name: str) -> Any:
        value = self.cleaned_data[name]
        return value == "true" if name == "happened" else value


def _field(name: str, described: str, user: Any) -> forms.Field:
    match name:
        case "step":
            return forms.CharField(required=False, max_length=80, label="Step", help_text=_STEP)
        case "happened":
            words = [("true", "They happened"), ("false", "They did not happen")]
            return forms.ChoiceField(choices=words, widget=forms.RadioSelect, label="What is known")
        case "again":
            text = "Repeat what happened"
            return forms.BooleanField(required=False, label=text, help_text=described)
        case "owner":
            who, text = user.get_username(), "A user's name; empty: nobody."
            return forms.CharField(
                required=False, max_length=150, initial=who, label="Owner", help_text=text
            )
        case "to":
            return forms.IntegerField(min_value=1, label="To which version")
    text = f"JSON, the same for all: {described}. Empty: nothing."
    return JSONText(required=False, label="Result", help_text=text)


_STEP = "Leave it empty for the step that stopped each run, whichever that is."


def _rate() -> forms.Field:
    return forms.FloatField(
        min_value=SLOWEST,
        max_value=FASTEST,
        initial=conf().BATCH_PER_SECOND,
        label="Runs a second",
        help_text="At most. Partners and workers get the load that follows.",
    )
