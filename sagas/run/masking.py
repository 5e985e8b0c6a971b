"""What a step's code says, as the record keeps it: this is where such texts enter it.

Errors, reasons of refusals, what partners answered: all of it passes ``Masking`` before the planner
sees it. So it is masked in whatever is made of it: attention, events, error groups, pages, exports,
the API, logs. What was said is kept apart, for those who may reveal it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sagas.conf import Conf, conf
from sagas.define import registry
from sagas.define.mask import masked_text, words_in, words_of
from sagas.define.outcome import Masked
from sagas.define.redact import matcher, secrets
from sagas.define.saga import Definition
from sagas.define.step import Action, Step
from sagas.define.view import RunView
from sagas.run.context import AtHand, faults
from sagas.run.documents import clean

_LONGEST = 500  # of a text as it is shown ...
_LONGEST_ORIGINAL = 4_000  # ... and as it was said


@dataclass(frozen=True, slots=True)
class Masking:
    """Knows what of a text is somebody's, by the documents of the run that it is about.

    It costs nothing until it has a text to mask.

    Attributes:
        action: whose words they are; what stands in its code is nobody's.
        signal: the one that the step was called for.
    """

    saga: Definition
    view: RunView
    action: Action | None = None
    signal: AtHand | None = None

    def words(self, said: Any, error: BaseException | None = None) -> Masked:
        """A reason that the step's code gave.

        Args:
            error: what it raised, if that is where the reason comes from.
        """
        try:
            return self._kept(clean(str(said), _LONGEST_ORIGINAL), error)
        except Exception:  # an integer of very many digits; its own code is broken
            return Masked(f"a {type(said).__name__} that has no text")

    def error(self, error: Exception) -> Masked:
        """An exception in one line: its class, and what it says."""
        name = type(error).__name__
        try:
            text = clean(_text(error), _LONGEST_ORIGINAL)
        except Exception:  # its own code that makes a text of it is broken
            return Masked(name)
        if isinstance(error, ValidationError):
            return Masked(f"{name}: {faults(error)}"[:_LONGEST], f"{name}: {text}")
        kept = self._kept(text, error)
        return Masked(f"{name}: {kept}"[:_LONGEST], f"{name}: {kept.original or kept}")

    def _kept(self, text: str, error: BaseException | None) -> Masked:
        shown = masked_text(
            text,
            named=matcher(conf().REDACT),
            known=self._known,
            code=self._code(error),
            hidden=frozenset(self._hidden()),
        )
        return Masked(shown[:_LONGEST], text)

    @property
    def _known(self) -> set[str]:
        """Names of the definition."""
        partners = {step.partner for step in self.saga.steps.values() if step.partner}
        sagas = {saga.name for saga in registry.all_sagas()}
        fields = {*self.saga.payload.model_fields, *Conf.model_fields}
        return {*sagas, *self.saga.steps, *fields, *partners, "SAGAS"}

    def _code(self, error: BaseException | None) -> frozenset[str]:
        """Words of the code that speaks."""
        trace = None if error is None else error.__traceback__
        return words_of(getattr(self.action, "__code__", None)) | words_of(trace)

    def _hidden(self) -> Iterator[str]:
        """The words of all that is redacted in the run's documents."""
        for document, kind in self._documents():
            for value in secrets(json.loads(document), conf().REDACT, kind):
                yield from words_in(value)

    def _documents(self) -> Iterator[tuple[str, Any]]:
        if self.view.payload is not None:
            yield self.view.payload, self.saga.payload
        for row in self.view.steps.values():
            step = self.saga.steps.get(row.name)
            if row.result is not None and step is not None:
                yield row.result, returned(step)
        if self.signal is not None:
            yield self.signal.payload, Any


def _text(error: Exception) -> str:
    """What an exception says; of a ``KeyError`` with a sentence not its repr, which quotes it."""
    said = error.args[0] if isinstance(error, KeyError) and len(error.args) == 1 else None
    return said if isinstance(said, str) and " " in said else str(error)


def returned(step: Step) -> Any:
    """What a step gives; ``Any`` if that cannot be read."""
    try:
        return step.returned
    except NameError:  # a name that only type checkers see
        return Any
