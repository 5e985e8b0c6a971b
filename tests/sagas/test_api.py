"""The public door."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from celery.canvas import Signature

from sagas import api
from sagas.api import Saga, UnknownRun, start
from sagas.define import registry
from sagas.define.saga import Node
from sagas.errors import DefinitionError
from sagas.run import send
from sagas.run.canvas import canvas
from sagas.testing.post import Post
from tests.sagas.flows import Payload, fork, simple
from tests.sagas.stage import BACKWARD, Known, carried

PUBLIC = {
    "ApprovalNeeded", "BacklogFull", "CancelRefused", "DefinitionError", "Door", "Errors",
    "HistoryEvent", "KeyConflict",
    "Lift", "NotApplied", "PayloadInvalid", "ReceivedSignal", "Redacted", "Refused", "Retry",
    "RetryLater", "Run",
    "RunInfo", "Saga", "SagaError", "StartRefused", "Started", "Step", "StepInfo", "StepTimeout",
    "Throttled",
    "Unknown", "UnknownRun", "UnknownSaga", "VerbRefused", "Wait", "assign", "astart", "cancel",
    "compensate", "get_run", "held_partners", "hold", "hold_partner", "last_lift",
    "let_one_through", "lift", "lift_partner", "mark", "migrate", "parallel", "pause", "pivot",
    "resolve", "restart", "resume", "retry", "send_signal", "skip", "start", "step", "wait_for",
    "wait_until",
}  # fmt: skip


def test_the_public_names_are_these_and_all_are_there() -> None:
    assert set(api.__all__) == PUBLIC
    assert all(hasattr(api, name) for name in PUBLIC)
    assert list(api.__all__) == sorted(api.__all__)


@pytest.mark.usefixtures("known")
def test_a_saga_is_known_as_soon_as_it_is_defined() -> None:
    saga = Saga("flow", payload=Payload, steps=[simple("a")])
    assert registry.get("flow") is saga
    with pytest.raises(DefinitionError, match=r"sagas\.E012"):
        Saga("flow", payload=Payload, steps=[simple("b")])
    with pytest.raises(DefinitionError, match=r"sagas\.E003"):
        Saga("empty", payload=Payload, steps=[])
    assert "empty" not in {saga.name for saga in registry.all_sagas()}


@pytest.fixture
def saga(known: Known) -> Saga:
    nodes: list[Node] = [simple("a"), simple("b"), fork("c", ["d", "e"]), simple("f")]
    return Saga("flow", payload=Payload, steps=nodes)


def links(signature: Any) -> list[tuple[str, str]]:
    return [(link.task, link.args[2]) for link in getattr(signature, "tasks", [signature])]


def whole(signature: Any) -> Any:
    """All of a canvas but the ids that Celery draws."""
    if isinstance(signature, dict):
        return {key: whole(value) for key, value in signature.items() if key not in _DRAWN}
    if isinstance(signature, list | tuple):
        return [whole(item) for item in signature]
    return signature


_DRAWN = ("task_id", "reply_to", "root_id", "parent_id", "group_id", "group_index")


@pytest.mark.django_db
@pytest.mark.usefixtures("post")
def test_the_canvas_of_a_run_is_a_celery_chain_with_an_errback(saga: Saga) -> None:
    run_id = start(saga, Payload(), key="k").id
    chain: Any = saga.canvas(run_id)
    assert isinstance(chain, Signature)
    assert links(chain) == [("sagas.step", "a"), ("sagas.step", "b")]
    (errback,) = chain.options["link_error"]
    assert (errback["task"], tuple(errback["args"])) == ("sagas.undo", (str(run_id), 1))


@pytest.mark.django_db(transaction=True)
def test_what_is_sent_is_the_canvas(saga: Saga, post: Post, monkeypatch: Any) -> None:
    sent: list[Any] = []
    real = canvas

    def noting(*args: Any) -> Any:
        sent.append(real(*args))
        return sent[-1]

    monkeypatch.setattr(send, "canvas", noting)
    run_id = start(saga, Payload(), key="k").id
    assert [whole(signature) for signature in sent] == [whole(saga.canvas(run_id))]


@pytest.mark.django_db
@pytest.mark.usefixtures("post")
def test_the_canvas_follows_the_run(saga: Saga) -> None:
    run_id = start(saga, Payload(), key="k").id
    carried(run_id, "a")
    assert links(saga.canvas(run_id)) == [("sagas.step", "d"), ("sagas.step", "e")]
    carried(run_id, "d")
    assert saga.canvas(run_id) is None


@pytest.mark.django_db
@pytest.mark.usefixtures("post")
def test_the_canvas_of_a_fork_is_a_group_of_chains(known: Known) -> None:
    saga = Saga("forks", payload=Payload, steps=[fork("a", ["b", "c"])])
    group: Any = saga.canvas(start(saga, Payload(), key="k").id)
    assert [links(branch) for branch in group.tasks] == [
        [("sagas.step", "a")],
        [("sagas.step", "b"), ("sagas.step", "c")],
    ]


@pytest.mark.django_db
@pytest.mark.usefixtures("post")
def test_the_canvas_of_a_run_that_turned_back_undoes(known: Known) -> None:
    saga = Saga("turns", payload=Payload, steps=[simple(n) for n in "abc"], hop=True)
    run_id = start(saga, Payload(refuse="c"), key="k").id
    for step in "abc":
        carried(run_id, step)
    chain: Any = saga.canvas(run_id)
    assert links(chain) == [("sagas.compensate", "b"), ("sagas.compensate", "a")]
    assert chain.options["link_error"][0]["task"] == "sagas.park"
    carried(run_id, "b", "a", way=BACKWARD, epoch=2)
    assert links(saga.canvas(run_id)) == [("sagas.compensate", "a")]


@pytest.mark.django_db
def test_a_run_that_does_not_exist_has_no_canvas(saga: Saga) -> None:
    with pytest.raises(UnknownRun):
        saga.canvas(uuid4())
