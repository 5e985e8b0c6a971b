"""Data is read strictly at the door, and leniently where it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.errors import PydanticUserError
from typing_extensions import TypedDict

from sagas.define.data import extra_at_door, extra_stored, models, silent_beside_lenient
from sagas.define.saga import Definition
from sagas.errors import PayloadInvalid
from tests.sagas.flows import simple


class Line(BaseModel):
    amount: int = 1


class Order(BaseModel):
    number: Annotated[int, Field(alias="orderNumber")] = 0
    lines: list[Line] = []


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    lines: list[Line] = []


class Ignoring(BaseModel):
    model_config = ConfigDict(extra="ignore")
    number: int = 0


class Blob(BaseModel):
    model_config = ConfigDict(extra="allow")


class Mixed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int = 0
    blob: Blob = Blob()


def saga(payload: type[BaseModel]) -> Definition:
    return Definition("flow", payload=payload, steps=[simple("a")])


@pytest.mark.parametrize(
    ("payload", "given", "field"),
    [
        (Order, {"orderNumber": 1, "nubmer": 2}, "nubmer"),
        (Order, {"number": 1}, "number"),
        (Order, {"lines": [{"amount": 1}, {"amuont": 2}]}, "lines.1.amuont"),
        (Closed, {"lines": [{"amuont": 2}]}, "lines.0.amuont"),
        (Mixed, {"nubmer": 1, "blob": {"any": 1}}, "nubmer"),
    ],
)
def test_an_unknown_field_is_refused_at_the_door(
    payload: type[BaseModel], given: dict[str, Any], field: str
) -> None:
    for door in (given, TypeAdapter(dict[str, Any]).dump_json(given)):
        with pytest.raises(PayloadInvalid) as refused:
            saga(payload).validated(door)
        assert [problem["field"] for problem in refused.value.problems] == [field]


@pytest.mark.parametrize(
    ("payload", "given", "plain"),
    [
        (Ignoring, {"number": 1, "other": 2}, {"number": 1}),
        (Blob, {"any": [1]}, {"any": [1]}),
        (Mixed, {"blob": {"any": 1}}, {"number": 0, "blob": {"any": 1}}),
        (Order, {"orderNumber": 3}, {"number": 3, "lines": []}),
    ],
)
def test_a_model_may_let_unknown_fields_pass_and_what_it_keeps_is_kept(
    payload: type[BaseModel], given: dict[str, Any], plain: dict[str, Any]
) -> None:
    definition = saga(payload)
    accepted = definition.validated(given)
    assert definition.plain(accepted) == plain
    document = TypeAdapter(dict[str, Any]).dump_json(plain).decode()
    assert definition.restored(document) == accepted


@pytest.mark.parametrize("payload", [Order, Closed, Ignoring, Mixed])
def test_what_was_stored_with_fields_that_are_gone_can_be_read(payload: type[BaseModel]) -> None:
    """At the top and deep inside; whatever the model says of strangers."""
    document = '{"gone": {"x": 1}, "lines": [{"amount": 2, "gone": 3}], "blob": {"kept": 1}}'
    restored = saga(payload).restored(document)
    assert not isinstance(restored, Order | Closed) or restored.lines[0].amount == 2
    assert not isinstance(restored, Mixed) or restored.blob.model_extra == {"kept": 1}


class Size(StrEnum):
    LARGE = "large"

    @classmethod
    def _missing_(cls, value: object) -> Size | None:
        return cls.LARGE if value == "big" else None  # as it was called before


class Shirt(BaseModel):
    size: Size


def test_a_renamed_value_can_be_read_if_the_code_takes_the_old_name() -> None:
    assert saga(Shirt).restored('{"size": "big"}') == Shirt(size=Size.LARGE)
    with pytest.raises(PayloadInvalid, match="size: Input should be 'large'"):
        saga(Shirt).restored('{"size": "huge"}')


class Tree(BaseModel):
    model_config = ConfigDict(extra="allow")
    children: list[Tree] = []


@dataclass
class Plain:
    blob: Blob


class Typed(TypedDict):
    blob: Blob


@pytest.mark.parametrize(
    ("annotation", "door", "stored"),
    [
        (int, "forbid", "ignore"),
        (list[Order], "forbid", "ignore"),
        (Closed | None, "forbid", "ignore"),
        (dict[str, Ignoring], None, "ignore"),
        (dict[str, tuple[Blob, int]], None, "allow"),
        (Tree, None, "allow"),
        (Plain, None, "allow"),
        (Typed, None, "allow"),
    ],
)
def test_models_are_found_wherever_a_type_holds_them(
    annotation: Any, door: str | None, stored: str
) -> None:
    schema = TypeAdapter(annotation).core_schema
    assert (extra_at_door(schema), extra_stored(schema)) == (door, stored)


def test_a_model_that_says_nothing_is_named_only_beside_one_that_is_lenient() -> None:
    assert silent_beside_lenient(TypeAdapter(Order).core_schema) == ""
    assert silent_beside_lenient(TypeAdapter(Mixed).core_schema) == ""
    assert silent_beside_lenient(TypeAdapter(Blob | Line).core_schema) == "Line"
    assert silent_beside_lenient(TypeAdapter(Plain).core_schema) == "Plain"


def test_a_model_that_is_not_defined_whole_is_an_error() -> None:
    class Unfinished(BaseModel):
        later: Later  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(PydanticUserError):
        list(models(Unfinished.__pydantic_core_schema__))
