from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, NewType, Optional

import pytest
from pydantic import BaseModel, Field, RootModel, TypeAdapter
from typing_extensions import TypeAliasType, TypedDict

from sagas.define.redact import HIDDEN, Redacted, redact

Code = NewType("Code", Annotated[str, Redacted])
Hidden = TypeAliasType("Hidden", Annotated[str, Redacted])


class Place(BaseModel):
    street: Annotated[str, Redacted]
    country: str


class Pair(NamedTuple):
    left: str
    right: Annotated[str, Redacted]


@dataclass
class Card:
    number: Annotated[str, Redacted]
    brand: str


class Wire(TypedDict):
    account: Annotated[str, Redacted]
    bank: str


class Secrets(RootModel[Annotated[list[str], Redacted]]):
    pass


class Order(BaseModel):
    sku: str
    mail: Annotated[str, Redacted, Field(max_length=99)]
    maybe: Optional[Annotated[str, Redacted]] = None  # noqa: UP045
    alias: Annotated[str, Redacted] = Field("", alias="otherName")
    whole: Annotated[Place | None, Redacted()] = None
    place: Place | None = None
    places: list[Place] = []
    by_name: dict[str, Place] = {}
    card: Card | None = None
    wire: Wire | None = None
    pair: Pair | None = None
    secrets: Secrets | None = None
    hidden: Hidden = ""
    code: Code | None = None
    mixed: tuple[int, Place] | None = None


PLACE = {"street": "High Street 1", "country": "DE"}
SHOWN = {"street": HIDDEN, "country": "DE"}


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("sku", "mug", "mug"),
        ("mail", "a@b.example", HIDDEN),
        ("maybe", "x", HIDDEN),
        ("maybe", None, None),
        ("alias", "x", HIDDEN),
        ("otherName", "x", HIDDEN),
        ("whole", PLACE, {"street": HIDDEN, "country": HIDDEN}),
        ("place", PLACE, SHOWN),
        ("places", [PLACE, PLACE], [SHOWN, SHOWN]),
        ("by_name", {"home": PLACE}, {"home": SHOWN}),
        ("card", {"number": "4", "brand": "v"}, {"number": HIDDEN, "brand": "v"}),
        ("wire", {"account": "4", "bank": "v"}, {"account": HIDDEN, "bank": "v"}),
        ("secrets", ["a", "b"], [HIDDEN, HIDDEN]),
        ("hidden", "x", HIDDEN),
        ("code", "x", HIDDEN),
        ("pair", ["a", "b"], [HIDDEN, HIDDEN]),
        ("mixed", [1, PLACE], [1, SHOWN]),
        ("unknown", {"a": [1, True, None]}, {"a": [1, True, None]}),
    ],
)
def test_what_a_model_marks_is_hidden_and_its_shape_is_not(
    field: str, value: Any, shown: Any
) -> None:
    assert redact({field: value}, (), Order) == {field: shown}


def test_the_mark_changes_no_value_and_no_schema() -> None:
    class Plain(BaseModel):
        mail: str

    class Marked(BaseModel):
        mail: Annotated[str, Redacted]

    assert Marked(mail="a").model_dump() == Plain(mail="a").model_dump()
    schema = Marked.model_json_schema()
    assert {**schema, "title": "Plain"} == Plain.model_json_schema()


@pytest.mark.parametrize("kind", [Pair, tuple[str, Annotated[str, Redacted]]])
def test_a_mark_in_a_tuple_hides_its_items(kind: Any) -> None:
    """Any of them: a JSON list does not say which is which."""
    shown = redact(["a", "b"], (), kind)
    assert shown[1] == HIDDEN


@pytest.mark.parametrize(
    "name",
    ["email", "customer_email", "customerEmail", "Customer-Email", "email_verified", "E-MAIL"],
)
def test_a_name_is_found_inside_longer_names(name: str) -> None:
    found = redact({name: "x", "deep": [{name: {"a": 1}}]}, ["email", "e_mail"])
    assert found == {name: HIDDEN, "deep": [{name: {"a": HIDDEN}}]}


@pytest.mark.parametrize("name", ["mail", "emailed", "female", "tokens", "sku"])
def test_a_name_is_not_found_in_parts_of_words(name: str) -> None:
    assert redact({name: "x"}, ["email", "token"]) == {name: "x"}


def test_null_tells_nothing_and_stays() -> None:
    assert redact({"token": None}, ["token"]) == {"token": None}


def test_a_mark_that_cannot_be_read_hides_the_field() -> None:
    @dataclass
    class Broken:
        a: OnlyForTypeCheckers  # type: ignore[name-defined]  # noqa: F821

    assert redact({"a": 1}, (), Broken) == {"a": HIDDEN}


def test_the_document_itself_is_not_changed() -> None:
    document = {"token": "x", "deep": [{"token": "y"}]}
    redact(document, ["token"])
    assert document == {"token": "x", "deep": [{"token": "y"}]}


def test_what_is_nested_too_deeply_to_be_read_is_hidden() -> None:
    deep: Any = "secret"
    for _ in range(5000):
        deep = [deep]
    assert redact(deep, ["token"]) == HIDDEN


def test_an_annotation_of_a_step_counts_like_a_model() -> None:
    kind = Annotated[str, Redacted]
    assert TypeAdapter(kind).validate_python("x") == "x"
    assert redact("x", (), kind) == HIDDEN
    assert redact("x", (), str) == "x"
