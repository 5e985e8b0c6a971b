"""A worker that is being shut down hands its chains back."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from sagas.run import drain
from sagas.testing.post import Post
from tests.sagas.flows import flow
from tests.sagas.stage import Actor, Known, begun, carried, states


@pytest.fixture(autouse=True)
def _open() -> Iterator[None]:
    yield
    drain.reopen()


@pytest.mark.django_db
def test_a_draining_worker_finishes_its_step_and_leaves_the_next_to_others(
    known: Known, post: Post
) -> None:
    actor = Actor()
    actor.answers["do a"] = lambda run: drain.drain()
    run_id = begun(known(flow(actor.steps("abc"))))
    assert carried(run_id, "a", "b", "c") == ["b", "c"]
    assert states(run_id) == {"a": "succeeded", "b": "ready", "c": "pending"}


def test_processes_that_were_forked_before_see_it() -> None:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(read, 1)
        os._exit(drain.draining())
    drain.drain()
    os.write(write, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    os.close(read)
    os.close(write)


def test_a_worker_begins_open() -> None:
    drain.drain()
    drain.reopen()
    assert not drain.draining()
