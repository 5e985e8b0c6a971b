from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from datetime import date
from functools import cached_property
from typing import Annotated, Any, NamedTuple, NewType, Optional, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel, TypeAdapter
from typing_extensions import TypeAliasType, TypedDict

from sagas.define.redact import (
    HIDDEN,
    Redacted,
    masked,
    place_of,
    redact,
    redact_names,
    secrets,
)

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
    status: Annotated[str, Redacted] = ""  # as a rule harmless, but not here
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
        ("status", "ill", HIDDEN),
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
        ("unknown", {"a": [1, True, None]}, {"a": [HIDDEN, HIDDEN, None]}),
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
    found = redact_names({name: "x", "deep": [{name: {"a": 1}}]}, ["email", "e_mail"])
    assert found == {name: HIDDEN, "deep": [{name: {"a": HIDDEN}}]}


@pytest.mark.parametrize("name", ["mail", "emailed", "female", "tokens", "sku"])
def test_a_name_is_not_found_in_parts_of_words(name: str) -> None:
    assert redact_names({name: "x"}, ["email", "token"]) == {name: "x"}


def test_null_tells_nothing_and_stays() -> None:
    assert redact_names({"token": None}, ["token"]) == {"token": None}


def test_a_mark_that_cannot_be_read_hides_the_field() -> None:
    @dataclass
    class Broken:
        a: OnlyForTypeCheckers  # type: ignore[name-defined]  # noqa: F821

    assert redact({"a": 1}, (), Broken) == {"a": HIDDEN}


def test_the_document_itself_is_not_changed() -> None:
    document = {"token": "x", "deep": [{"token": "y"}]}
    redact_names(document, ["token"])
    redact(document, ["token"], Any)
    assert document == {"token": "x", "deep": [{"token": "y"}]}


def test_what_is_nested_too_deeply_to_be_read_is_hidden() -> None:
    deep: Any = "secret"
    for _ in range(5000):
        deep = [deep]
    assert redact_names(deep, ["token"]) == HIDDEN
    assert redact(deep, ["token"], Any) == HIDDEN


def test_an_annotation_of_a_step_counts_like_a_model() -> None:
    kind = Annotated[str, Redacted]
    assert TypeAdapter(kind).validate_python("x") == "x"
    assert redact("x", (), kind) == HIDDEN
    assert redact("x", (), str) == "x"


# --- models that are given to code -----------------------------------------------------------


class Titled(BaseModel):
    """A payload of everything that may hold what is marked."""

    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)

    orders: list[Order] = []
    by_name: Mapping[str, Place] = {}
    pair: Pair | None = None
    card: Card | None = None
    wire: Wire | None = None
    secrets: Secrets | None = None
    several: tuple[Annotated[str, Redacted], ...] = ()
    few: frozenset[Annotated[str, Redacted]] = frozenset()
    rooted: RootModel[list[Annotated[str, Redacted]]] | None = None
    stream: Iterable[Annotated[str, Redacted]] = ()
    born: Annotated[date | None, Redacted] = None
    amount: Annotated[int, Redacted] = 0
    _mine: str = PrivateAttr("")

    @cached_property
    def digest(self) -> str:
        return f"<{self.pair.right if self.pair else ''}>"

    @property
    def whole(self) -> str:
        return f"{self.amount:>9.2f}"


SECRET = "Secret Street 1"


def titled() -> Titled:
    place = Place(street=SECRET, country="DE")
    made = Titled(
        orders=[Order(sku="mug", mail=SECRET, maybe=SECRET, whole=place, places=[place],
                      code=SECRET, hidden=SECRET, mixed=(1, place))],
        by_name={"home": place},
        pair=Pair("left", SECRET),
        card=Card(number=SECRET, brand="visa"),
        wire=Wire(account=SECRET, bank="dkb"),
        secrets=Secrets([SECRET]),
        several=(SECRET, SECRET),
        few=frozenset({SECRET}),
        rooted=RootModel[list[Annotated[str, Redacted]]]([SECRET]),
        stream=iter([SECRET]),
        born=date(2000, 1, 31),
        amount=1999,
        customer_email=SECRET,
        more={"contact": {"phone": SECRET, "sku": "tray"}},
    )  # fmt: skip
    assert SECRET in made.digest, "it is kept with the model from now on"
    made._mine = SECRET
    return made


def every_word(value: Any) -> str:
    """All that code could find by looking at a value."""
    if isinstance(value, BaseModel):
        private = value.__pydantic_private__ or {}
        parts = [*vars(value).values(), *(value.model_extra or {}).values(), *private.values()]
    elif is_dataclass(value):
        parts = [getattr(value, name) for name in value.__dataclass_fields__]
    elif isinstance(value, Mapping):
        parts = list(value.values())
    elif isinstance(value, Collection | Iterator) and not isinstance(value, str):
        parts = list(value)
    else:
        return str(value)
    return " ".join(map(every_word, parts))


def test_code_that_is_given_a_masked_model_finds_nothing_redacted_in_it() -> None:
    assert every_word(titled()).count(SECRET) == 21, "the words are looked for where they are"
    copy = masked(titled(), ["email", "phone"])
    assert isinstance(copy, Titled)
    found = every_word(copy)
    assert SECRET not in found
    assert "1999" not in found
    assert "2000" not in found
    assert copy.digest == f"<{HIDDEN}>"


def test_what_is_not_redacted_stays_as_it_is_in_a_masked_model() -> None:
    copy = masked(titled(), ["email", "phone"])
    assert copy.orders[0].sku == "mug"
    assert copy.orders[0].places[0] == Place.model_construct(street=HIDDEN, country="DE")
    assert copy.orders[0].whole.country == HIDDEN, "the whole of it is marked"
    assert copy.orders[0].place is None
    assert copy.by_name["home"].country == "DE"
    assert len(copy.pair) == 2
    assert copy.card.brand == "visa"
    assert copy.wire["bank"] == "dkb"
    assert copy.more["contact"]["sku"] == "tray"
    assert len(copy.several) == 2


def test_a_mark_can_be_formatted_as_what_it_stands_for() -> None:
    copy = masked(titled(), [])
    assert f"{copy.amount:>9.2f} {copy.born:%Y-%m-%d}" == f"{HIDDEN} {HIDDEN}"
    assert copy.whole == HIDDEN


def test_a_masked_model_leaves_the_model_as_it_is() -> None:
    given = titled()
    before = given.model_copy(deep=False)
    masked(given, ["email"])
    assert given.orders[0].mail == SECRET
    assert given.amount == 1999
    assert vars(given) == vars(before)


# --- what nothing declares -------------------------------------------------------------------

T = TypeVar("T")


@pytest.mark.parametrize("kind", [Any, object, dict, dict[str, Any], None, T, str | Any])
def test_of_what_nothing_declares_only_harmless_fields_are_shown(kind: Any) -> None:
    told = {"status": "paid", "amount": 1250, "note": "for Ann", "who": {"id": 7, "of": "Ann"}}
    assert redact(told, (), kind) == {
        "status": "paid",
        "amount": 1250,
        "note": HIDDEN,
        "who": {"id": 7, "of": HIDDEN},
    }


@pytest.mark.parametrize("value", ["for Ann Okonkwo", "ann@example.com", {"x": "Ann"}, ["Ann"]])
def test_a_harmless_name_shows_no_more_than_a_word_or_a_number(value: Any) -> None:
    assert "ann" not in str(redact({"status": value}, (), Any)).lower()


def test_a_harmless_name_within_what_is_redacted_by_name_is_hidden_too() -> None:
    assert redact({"card": {"id": 7}}, ["card"], Any) == {"card": {"id": HIDDEN}}


def test_a_declared_type_of_items_shows_them() -> None:
    assert redact({"a": ["x"]}, (), dict[str, list[str]]) == {"a": ["x"]}
    assert redact({"a": {"b": "x"}}, (), dict[str, list[str]]) == {"a": {"b": HIDDEN}}


@pytest.mark.parametrize("kind", [Any, dict[str, int]])
def test_keys_that_are_no_names_of_fields_are_masked_one_by_one(kind: Any) -> None:
    shown = redact({"ann@example.com": 1, "Ann Okonkwo": 2, "sku": 3}, (), kind)
    assert list(shown) == [f"{HIDDEN} 0", f"{HIDDEN} 1", "sku"]


def test_the_secrets_of_a_document_are_what_is_not_shown() -> None:
    told = {"sku": "mug", "mail": "a@b.example", "place": PLACE, "unknown": {"+49 1": [7, None]}}
    assert sorted(secrets(told, (), Order)) == ["+49 1", "7", "High Street 1", "a@b.example"]


def test_a_place_in_a_document_names_fields_and_no_other_keys() -> None:
    assert place_of(["items", 12, "price"]) == "items.12.price"
    assert place_of(["by_mail", "ann@example.com", "4242424242424242"]) == (
        f"by_mail.{HIDDEN}.{HIDDEN}"
    )


def test_of_what_nothing_declares_code_finds_only_harmless_fields() -> None:
    class Loose(BaseModel):
        model_config = ConfigDict(extra="allow")

        told: dict[str, Any] = {}
        who: Any = None

    given = Loose.model_validate(
        {"told": {"note": "Ann", "sku": "mug"}, "who": "Ann", "more": "Ann"}
    )
    copy = masked(given, ())
    assert copy.told == {"note": HIDDEN, "sku": "mug"}
    assert (copy.who, copy.more) == (HIDDEN, HIDDEN)
