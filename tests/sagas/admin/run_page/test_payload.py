from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from sagas.admin.run_page.payload import documents
from sagas.api import Redacted
from sagas.define import registry
from sagas.define.saga import Definition
from sagas.models import Run
from tests.sagas.flows import simple


class Order(BaseModel):
    sku: str = ""
    note: Annotated[str, Redacted] = ""
    lines: list[dict[str, int]] = []


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    with registry.isolated():
        registry.register(Definition("flow", payload=Order, steps=[simple("a")]))
        yield


def page(payload: Any, amended: Any = None, *, revealed: bool = False) -> dict[str, Any]:
    run = Run(saga="flow", version=1, payload=payload, amended=amended)
    return documents(run, revealed=revealed)


def changes(found: dict[str, Any]) -> list[tuple[str, ...]]:
    plain = (tuple(str(part)[5:-6] for part in change) for change in found["changes"])
    return list(plain)


def test_fields_are_redacted_by_mark_and_by_name() -> None:
    found = page({"sku": "mug", "note": "private", "customer_email": "a@b.example"})
    assert "mug" in found["given"]
    assert "private" not in found["given"]
    assert "a@b.example" not in found["given"]
    assert found["given"].count("•••") == 2
    assert found["redacted"]


def test_who_may_reveal_sees_everything() -> None:
    found = page({"sku": "mug", "note": "private"}, revealed=True)
    assert "private" in found["given"]
    assert not found["redacted"]


def test_what_an_operator_changed_is_listed_by_place() -> None:
    old = {"sku": "mug", "lines": [{"n": 1}, {"n": 2}], "gone": 1}
    new = {"sku": "cup", "lines": [{"n": 1}, {"n": 3}, {"n": 4}], "new": True}
    assert changes(page(old, new, revealed=True)) == [
        ("sku", "&quot;mug&quot;", "&quot;cup&quot;"),
        ("lines.1.n", "2", "3"),
        ("lines.2", "not there", "{&quot;n&quot;: 4}"),
        ("gone", "1", "not there"),
        ("new", "not there", "true"),
    ]


def test_that_a_redacted_field_was_changed_is_told_and_how_is_not() -> None:
    found = page({"note": "old words"}, {"note": "new words"})
    assert changes(found) == [("note", "&quot;•••&quot;", "&quot;•••&quot;")]
    assert "words" not in str(found)


def test_true_is_not_one() -> None:
    assert changes(page({"a": 1}, {"a": True}, revealed=True)) == [("a", "1", "true")]


def test_where_a_change_was_is_told_without_keys_that_may_be_somebodys() -> None:
    found = page({"lines": {"ann@b.example": 1}}, {"lines": {"ann@b.example": 2}})
    assert changes(found) == [("lines.•••", "&quot;•••&quot;", "&quot;•••&quot;")]


def test_of_many_differences_some_are_shown() -> None:
    found = page({"lines": list(range(100))}, {"lines": list(range(1, 101))})
    assert len(found["changes"]) == 50
    assert found["more"]


def test_a_payload_of_a_megabyte_is_cut() -> None:
    found = page({"sku": "x" * 1_000_000})
    assert len(found["given"]) < 3_000
    assert found["cut"]
    assert not page({"sku": "x"})["cut"]
