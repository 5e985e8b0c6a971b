"""The canvas: real Celery chains whose links name the steps, each with an errback."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from celery import Signature

from sagas.define.saga import Definition
from sagas.define.view import RunView, StepView
from sagas.run.canvas import Links, canvas
from sagas.states import Direction, StepStatus
from tests.sagas.flows import flow, fork, simple
from tests.sagas.stage import BACKWARD, FORWARD

_RUN = UUID(int=7)


def a_view(saga: Definition, epoch: int = 1) -> RunView:
    view = RunView(_RUN, "flow", 1, saga.fingerprint, "k", "{}", epoch=epoch)
    for name, place in saga.order.items():
        for way in Direction:
            view.steps[way, name] = StepView(place, name, way, place, StepStatus.PENDING)
    return view


def made(saga: Definition, *names: str, way: Direction = FORWARD, epoch: int = 1) -> Any:
    view = a_view(saga, epoch)
    return canvas(saga, view, [view.steps[way, name] for name in names])


def links(signature: Any) -> list[Signature[Any]]:
    """The tasks of a chain, or of a single link."""
    return list(getattr(signature, "tasks", [signature]))


def test_a_sequence_is_a_chain_of_its_steps() -> None:
    found = links(made(flow(["a", "b", "c"]), "a"))
    assert [link.task for link in found] == ["sagas.step"] * 3
    assert [link.args for link in found] == [(str(_RUN), 1, name, "flow/1") for name in "abc"]
    assert all(link.immutable for link in found)


def test_a_chain_ends_at_a_fork() -> None:
    found = links(made(flow(["a", "b", fork("c", "d"), "e"]), "a"))
    assert [link.args[2] for link in found] == ["a", "b"]


def test_a_fork_is_a_group_of_chains_and_no_chord() -> None:
    group = made(flow(["a", fork(["b", "c"], "d"), "e"]), "b", "d")
    assert type(group).__name__ == "group"
    assert [[link.args[2] for link in links(branch)] for branch in group.tasks] == [
        ["b", "c"],
        ["d"],
    ]


def test_undoing_is_a_chain_in_reverse_with_its_own_tasks() -> None:
    found = links(made(flow(["a", "b", "c"]), "b", way=BACKWARD, epoch=2))
    assert [(link.task, link.args) for link in found] == [
        ("sagas.compensate", (str(_RUN), 2, "b", "flow/1")),
        ("sagas.compensate", (str(_RUN), 2, "a", "flow/1")),
    ]


@pytest.mark.parametrize(("way", "errback"), [(FORWARD, "sagas.undo"), (BACKWARD, "sagas.park")])
@pytest.mark.parametrize("nodes", [["a"], ["a", "b", "c"]])
def test_whatever_is_sent_carries_an_errback(way: Direction, errback: str, nodes: Any) -> None:
    whole = made(flow(nodes), "a" if way is FORWARD else nodes[-1], way=way, epoch=3)
    callbacks = whole.options["link_error"]
    assert [(c["task"], tuple(c["args"]), c["immutable"]) for c in callbacks] == [
        (errback, (str(_RUN), 3), True)
    ]


def test_a_step_with_a_queue_is_routed_there() -> None:
    found = links(made(flow(["a", simple("b", queue="payments")]), "a"))
    assert [link.options.get("queue") for link in found] == [None, "payments"]


def test_no_link_asks_for_a_result_even_where_the_tasks_are_not_imported() -> None:
    whole = made(flow(["a", "b"]), "a")
    sent = [*links(whole), *whole.options["link_error"]]
    assert [link["options"]["ignore_result"] for link in sent] == [True, True, True]


def test_a_message_expires_after_longer_than_any_clock_is_wrong_by() -> None:
    """Celery compares its end with the reading worker's own clock, RabbitMQ with none."""
    (link,) = links(made(flow(["a"]), "a"))
    assert link.options["expires"] == link.options["expiration"] >= 12 * 3600
    errback = link.options["link_error"][0]
    assert errback.options["expires"] == link.options["expires"]


def test_a_canvas_survives_the_wire() -> None:
    whole = made(flow(["a", "b"]), "a")
    again = json.loads(json.dumps(whole))
    assert [link["args"][2] for link in again["kwargs"]["tasks"]] == ["a", "b"]


# --- the links that a message carries ------------------------------------------------------


def some(*names: str) -> tuple[Links, list[dict[str, Any]]]:
    """Links, the next one first, and Celery's own list, the next one last."""
    chain = [{"args": ["run", 1, name]} for name in reversed(names)]
    return Links(chain), chain


def test_links_are_named_in_the_order_of_work() -> None:
    assert some("b", "c", "d")[0].names() == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("name", "left"), [("b", ["c", "d"]), ("c", ["d"]), ("d", []), ("stranger", ["b", "c", "d"])]
)
def test_what_is_performed_here_is_dropped_with_all_before_it(name: str, left: list[str]) -> None:
    links_, chain = some("b", "c", "d")
    links_.drop_through(name)
    assert links_.names() == left
    assert [link["args"][2] for link in reversed(chain)] == left


@pytest.mark.parametrize(
    ("name", "kept", "left"),
    [("b", True, ["b", "c", "d"]), ("c", True, ["c", "d"]), ("stranger", False, [])],
)
def test_a_hop_keeps_the_links_from_its_step_on(name: str, kept: bool, left: list[str]) -> None:
    links_, chain = some("b", "c", "d")
    assert links_.keep_from(name) is kept
    assert [link["args"][2] for link in reversed(chain)] == left


def test_links_can_be_cleared_so_that_celery_sends_nothing() -> None:
    links_, chain = some("b", "c")
    links_.clear()
    assert chain == []


def test_a_message_without_a_chain_has_no_links() -> None:
    links_ = Links(None)
    links_.clear()
    links_.drop_through("a")
    assert links_.names() == []
    assert not links_.keep_from("a")
