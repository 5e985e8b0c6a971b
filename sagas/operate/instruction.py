"""An instruction: a verb for many runs, whose step may be left open and is found in each run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sagas.define import registry
from sagas.define.blockers import blockers
from sagas.define.title import titled
from sagas.define.view import RunView, direction_of
from sagas.errors import VerbRefused
from sagas.operate.catalogue import VERBS, verb_of
from sagas.operate.verb import Verb
from sagas.wording import stands

#: What cannot be the same for many runs.
SINGLE = frozenset({"payload"})


@dataclass(frozen=True, slots=True)
class Instruction:
    """What shall be done to each run of a batch.

    Attributes:
        verb: its name.
        arguments: what it is told, as plain data; without ``step``: the step that stopped the run.
    """

    verb: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    _made: dict[str, Verb] = field(default_factory=dict, compare=False, repr=False)

    @property
    def kind(self) -> type[Verb]:
        """The verb's class."""
        return VERBS[self.verb]

    @property
    def finds_step(self) -> bool:
        """Whether the step is found in each run."""
        return "step" in self.kind.model_fields and "step" not in self.arguments

    def for_step(self, step: str) -> Verb:
        """The verb for a run, once its step is known; for a verb without one it is empty.

        The same one for all runs: what it looks up for one, it need not look up for the others.
        """
        if step not in self._made:
            found = {"step": step} if self.finds_step else {}
            self._made[step] = verb_of(self.verb, {**self.arguments, **found})
        return self._made[step]

    def for_run(self, view: RunView) -> Verb:
        """The verb for a run.

        Raises:
            VerbRefused: no step or several steps stopped it, so the step must be named.
        """
        return self.for_step(stopping_step(view) if self.finds_step else "")


def instruction(verb: str, arguments: Mapping[str, Any]) -> Instruction:
    """An instruction from plain data.

    Raises:
        VerbRefused: there is no such verb, the arguments do not fit it, or one of them cannot be
            the same for many runs.
    """
    single = sorted(SINGLE & arguments.keys())
    if single:
        raise VerbRefused(f"For many runs at once there can be no {single[0]}.")
    given = {name: value for name, value in arguments.items() if (name, value) != ("step", "")}
    named = {"step": "any"} if "step" in getattr(VERBS.get(verb), "model_fields", ()) else {}
    verb_of(verb, {**named, **given})
    return Instruction(verb, given)


def stopping_step(view: RunView) -> str:
    """The title of the step that stopped a run, in the direction in which it goes.

    That is one that gave up or that nobody knows the outcome of; without any, one that waits for
    its next try.

    Raises:
        VerbRefused: there is none, or there are several.
    """
    saga = registry.fitting(view.saga, view.version, view.fingerprint)
    found = [titled(one.step) for one in blockers(saga, view) if one.step is not None]
    found = found or [titled(row) for row in view.rows(direction_of(view)) if row.waits_for_a_try]
    if len(found) == 1:
        return found[0]
    if not found:
        raise VerbRefused(f"Run {view.id} {stands(view.status)}; no step has stopped it.")
    raise VerbRefused(f"Several steps have stopped run {view.id}: {', '.join(found)}. Name one.")
