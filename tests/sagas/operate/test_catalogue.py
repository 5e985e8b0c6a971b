from __future__ import annotations

import pytest

import sagas.operate
from sagas.errors import PayloadInvalid, VerbRefused
from sagas.operate.catalogue import VERBS, verb_of
from sagas.operate.verb import StepVerb, Verb


def every_kind() -> set[type[Verb]]:
    return {*Verb.__subclasses__(), *StepVerb.__subclasses__()} - {StepVerb}


def test_every_verb_is_in_the_catalogue_by_its_name() -> None:
    assert set(VERBS.values()) == every_kind()
    assert all(VERBS[name].name == name for name in VERBS)
    assert sagas.operate


@pytest.mark.parametrize("kind", list(VERBS.values()))
def test_every_verb_says_what_it_does_and_is_made_of_plain_data(kind: type[Verb]) -> None:
    assert kind.label[0].isupper()
    assert kind.summary.endswith(".")
    told = {"step": "a", "owner": "ann", "happened": True, "to": 2}
    arguments = {name: told[name] for name in kind.model_fields if name in told}
    verb = verb_of(kind.name, arguments)
    assert verb_of(kind.name, verb.model_dump(mode="json", exclude_defaults=True)) == verb


def test_a_verb_that_is_none_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(VerbRefused, match=r"no verb 'retyr'\. Did you mean 'retry'\?"):
        verb_of("retyr", {})


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [({}, "step: Field required"), ({"step": "a", "steps": 1}, "steps: Extra inputs")],
)
def test_arguments_that_do_not_fit_are_named(arguments: dict[str, object], problem: str) -> None:
    with pytest.raises(VerbRefused, match=f"To skip was told wrongly: {problem}"):
        verb_of("skip", arguments)


@pytest.mark.parametrize("value", ["\x00", "\ud800", float("nan"), {"deep": ["\x00"]}])
@pytest.mark.parametrize("name", ["retry", "skip", "mark"])
def test_what_no_database_can_keep_is_refused_whether_or_not_a_model_passes_over_it(
    name: str, value: object
) -> None:
    document = "payload" if name == "retry" else "result"
    told: dict[str, object] = {"step": "a", document: {"odd": value}}
    with pytest.raises(PayloadInvalid, match="odd"):
        verb_of(name, told | ({"happened": True} if name == "mark" else {}))


def test_what_can_be_taken_back_is_known_of_every_verb() -> None:
    assert {name for name, verb in VERBS.items() if not verb.final} == {
        *("retry", "pause", "resume", "assign", "migrate")
    }


def test_a_verb_says_of_a_compensation_what_it_does_to_that() -> None:
    for kind in StepVerb.__subclasses__():
        assert kind.explained("collect") == kind.summary
        assert kind.explained("undo of collect") == kind.undoing
        assert kind.explained("").startswith(f"{kind.summary} Where undoing failed: ")
    assert VERBS["restart"].explained("collect") == VERBS["restart"].summary
