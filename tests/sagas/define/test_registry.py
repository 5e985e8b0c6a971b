"""Finding sagas by name and version."""

from __future__ import annotations

import pytest

from sagas.define import registry
from sagas.errors import DefinitionError, UnknownSaga
from tests.sagas.flows import flow, simple


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_sagas", {})


def test_a_saga_is_found_by_name() -> None:
    saga = flow(["a"])
    registry.register(saga)
    assert registry.get("flow") is saga


def test_the_newest_version_is_found_unless_one_is_named() -> None:
    old, new = flow(["a"], version=9), flow(["a", "b"], version=10)
    registry.register(new)
    registry.register(old)
    assert registry.get("flow") is new
    assert registry.get("flow", 9) is old


def test_the_same_version_twice_is_refused() -> None:
    registry.register(flow(["a"]))
    with pytest.raises(DefinitionError) as caught:
        registry.register(flow(["b"]))
    assert caught.value.id == "sagas.E012"
    assert "version 1 is defined twice" in caught.value.message
    assert caught.value.hint == "Give it another name, or raise its version."
    assert registry.get("flow").steps.keys() == {"a"}


def test_an_unknown_name_is_told_in_a_few_words_however_many_sagas_there_are() -> None:
    for number in range(300):
        registry.register(flow(["a"], name=f"saga-{number:03}"))
    with pytest.raises(UnknownSaga) as caught:
        registry.get("zzz" * 1000)
    assert "saga-009, and 290 more." in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_misspelt_name_gets_a_suggestion() -> None:
    registry.register(flow(["a"], name="order-fulfilment"))
    registry.register(flow(["a"], name="refund"))
    with pytest.raises(UnknownSaga) as caught:
        registry.get("order-fulfillment")
    assert str(caught.value) == (
        "No saga is named 'order-fulfillment'. Did you mean 'order-fulfilment'? "
        "Known sagas: order-fulfilment, refund."
    )


def test_an_empty_registry_says_so() -> None:
    with pytest.raises(UnknownSaga, match=r"No saga is named 'x'\. Known sagas: none\."):
        registry.get("x")


def test_a_version_that_is_gone_is_unknown() -> None:
    registry.register(flow(["a"], version=2))
    with pytest.raises(UnknownSaga, match="Saga 'flow' has no version 1; it has 2"):
        registry.get("flow", 1)


def test_a_run_gets_the_saga_that_it_was_started_with_or_none() -> None:
    old, new = flow(["a"]), flow(["a", "b"], version=2)
    registry.register(old)
    registry.register(new)
    assert registry.pinned("flow", 1, old.fingerprint) is old
    with pytest.raises(UnknownSaga, match="<Saga flow v2> has other steps than when this run"):
        registry.pinned("flow", 2, old.fingerprint)
    with pytest.raises(UnknownSaga, match="no version 3"):
        registry.pinned("flow", 3, old.fingerprint)


def test_a_run_goes_on_with_a_definition_that_promises_more() -> None:
    old, new = flow([simple("a", harmless=True), "b"]), flow(["a", "b"])
    registry.register(new)
    assert registry.pinned("flow", 1, old.fingerprint) is new
    assert registry.mismatch("flow", 1, old.fingerprint, ["a", "b"]) == ""


def test_a_mismatch_is_put_into_words() -> None:
    old, new = flow(["a", "b"]), flow(["a", "x"])
    registry.register(new)
    assert registry.mismatch("flow", 1, old.fingerprint, ["a", "b"]) == (
        "<Saga flow v1> has other steps than when this run started: "
        "step 'b' is gone; step 'x' is new after 'a'."
    )


def test_a_version_that_is_gone_is_compared_with_the_newest() -> None:
    old, new = flow(["a", "b"]), flow(["a"], version=3)
    registry.register(flow(["z"], version=2))
    registry.register(new)
    assert registry.mismatch("flow", 1, old.fingerprint, ["a", "b"]) == (
        "Saga 'flow' has no version 1; it has 2, 3. Compared with <Saga flow v3>: step 'b' is gone."
    )
    same = flow(["a"])
    assert registry.mismatch("flow", 1, same.fingerprint, ["a"]) == (
        "Saga 'flow' has no version 1; it has 2, 3."
    )


def test_a_saga_that_is_gone_is_only_named() -> None:
    assert registry.mismatch("flow", 1, "f", ["a"]) == (
        "No saga is named 'flow'. Known sagas: none."
    )


def test_all_sagas_are_listed_by_name_and_version() -> None:
    for name, version in (("b", 2), ("a", 1), ("b", 1)):
        registry.register(flow(["x"], name=name, version=version))
    assert [repr(saga) for saga in registry.all_sagas()] == [
        "<Saga a v1>",
        "<Saga b v1>",
        "<Saga b v2>",
    ]


def test_what_is_registered_in_isolation_is_forgotten() -> None:
    kept = flow(["a"])
    registry.register(kept)
    with registry.isolated():
        registry.register(flow(["a"], version=2))
        registry.register(flow(["a"], name="other"))
    assert registry.all_sagas() == [kept]
