"""The post office: messages lie in it until they are delivered, as often as wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from celery import chain, group, shared_task

from sagas.testing.post import Post

CALLS: list[Any] = []


@shared_task(name="tests.post.note", bind=True, ignore_result=True)
def note(self: Any, what: str) -> None:
    CALLS.append(what)
    if what == "drop the rest":
        self.request.chain.clear()


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    CALLS.clear()


def test_nothing_happens_before_delivery(post: Post) -> None:
    note.si("a").apply_async()
    assert CALLS == []
    assert post.deliver()
    assert CALLS == ["a"]
    assert not post.deliver()


def test_messages_are_delivered_in_the_order_of_sending(post: Post) -> None:
    group(note.si("a"), note.si("b")).apply_async()
    note.si("c").apply_async()
    while post.deliver():
        pass
    assert CALLS == ["a", "b", "c"]


def test_a_message_can_be_delivered_several_times(post: Post) -> None:
    note.si("a").apply_async()
    post.deliver(copies=3)
    assert CALLS == ["a"] * 3


def test_a_chain_goes_link_by_link(post: Post) -> None:
    chain(note.si("a"), note.si("b"), note.si("c")).apply_async()
    assert post.count() == 1
    while post.deliver():
        pass
    assert CALLS == ["a", "b", "c"]
    assert post.count() == 3


def test_a_task_may_drop_the_rest_of_its_chain(post: Post) -> None:
    chain(note.si("drop the rest"), note.si("b")).apply_async()
    while post.deliver():
        pass
    assert CALLS == ["drop the rest"]


def test_messages_can_be_lost(post: Post) -> None:
    note.si("a").apply_async()
    post.drop_all()
    note.si("b").apply_async()
    while post.deliver():
        pass
    assert CALLS == ["b"]
    assert post.count() == 2


def test_messages_survive_the_process_that_sent_them(tmp_path: Path) -> None:
    with Post(tmp_path / "file").open():
        note.si("a").apply_async()
    with Post(tmp_path / "file").open() as post:
        post.deliver()
    assert CALLS == ["a"]


def test_afterwards_celery_publishes_as_before(post: Post) -> None:
    with Post(post._path.with_name("other")).open() as inner:
        note.si("a").apply_async()
    note.si("b").apply_async()
    assert (inner.count(), post.count()) == (1, 1)
    post.deliver()
    assert CALLS == ["b"]
