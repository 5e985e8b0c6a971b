"""Named moments: silent in production, and in the order that the protocol says."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from sagas.define.outcome import Refused
from sagas.run import points
from sagas.testing.post import Post
from tests.sagas.flows import flow
from tests.sagas.stage import Actor, Known, begun


def test_nothing_happens_outside_of_tests() -> None:
    assert points.on_reached is None
    points.reached("K1", "a", "forward")


@pytest.mark.django_db(transaction=True)
def test_a_run_passes_them_in_order(known: Known, post: Post) -> None:
    actor, seen = Actor(), []
    actor.answers["do b"] = Refused("no")
    with patch.object(points, "on_reached", lambda *at: seen.append(" ".join(at).strip())):
        begun(known(flow(actor.steps("ab"))))
        while post.deliver():
            pass
    assert seen == [
        "K7",
        *("K1 a forward", "K3 a forward", "K4 a forward"),
        *("K1 b forward", "K3 b forward", "K4 b forward"),
        *("K1 a backward", "K3 a backward", "K4 a backward"),
        "K5 a forward",
    ]
