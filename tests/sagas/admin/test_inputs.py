"""Form fields from a pydantic model, and the document from what was entered."""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from django import forms
from pydantic import BaseModel, Field

from sagas.admin.inputs import PREFIX, document, fields, reason_field


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class Line(BaseModel):
    sku: str


class Everything(BaseModel):
    number: int
    price: float = 1.5
    text: Annotated[str, Field(description="to be printed")]
    gift: bool = False
    size: Size = Size.SMALL
    speed: Literal["slow", "fast"] | None = None
    lines: list[Line] = []
    ident: UUID | None = None
    day: date | None = None


CURRENT: dict[str, Any] = Everything(number=3, text="hello").model_dump(mode="json")


def entered(changes: dict[str, str] | None = None, hidden: tuple[str, ...] = ()) -> Any:
    """The form as it is shown, sent back with these changes. Gives the document."""
    made = dict(fields(Everything, CURRENT, hidden))
    kind = type("F", (forms.Form,), dict(made))
    shown = {name: kind()[name].value() for name in made}
    sent = {n: v for n, v in shown.items() if v is not None}
    sent |= {f"{PREFIX}{name}": value for name, value in (changes or {}).items()}
    form = kind(sent)
    assert form.is_valid(), form.errors
    return document(Everything, form.cleaned_data, CURRENT, hidden)


def kinds() -> dict[str, type[forms.Field]]:
    return {name.removeprefix(PREFIX): type(f) for name, f in fields(Everything, CURRENT)}


def test_each_field_is_entered_as_what_it_is() -> None:
    found = kinds()
    assert found["number"] is forms.IntegerField
    assert found["price"] is forms.DecimalField
    assert found["text"] is found["ident"] is found["day"] is forms.CharField
    assert found["gift"] is forms.TypedChoiceField
    assert found["size"] is found["speed"] is forms.ChoiceField
    assert set(found) == set(Everything.model_fields)


def test_what_is_sent_back_unchanged_is_what_was_there() -> None:
    assert entered() == CURRENT


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"number": "7"}, "number", 7),
        ({"text": " two\nlines "}, "text", " two\nlines "),
        ({"gift": "true"}, "gift", True),
        ({"size": "l"}, "size", "l"),
        ({"speed": "fast"}, "speed", "fast"),
        ({"lines": '[{"sku": "mug"}]'}, "lines", [{"sku": "mug"}]),
    ],
)
def test_a_change_changes_its_field_alone(
    changes: dict[str, str], field: str, value: object
) -> None:
    assert entered(changes) == {**CURRENT, field: value}


def test_an_empty_entry_leaves_the_default_or_is_left_to_the_model() -> None:
    assert "price" not in entered({"price": ""})
    assert entered({"number": ""})["number"] == ""


def test_a_hidden_field_is_not_shown_and_kept_unless_it_is_entered() -> None:
    made = dict(fields(Everything, CURRENT, ("text",)))
    assert made[f"{PREFIX}text"].initial is None
    assert "Hidden from you" in str(made[f"{PREFIX}text"].help_text)
    assert entered(hidden=("text",))["text"] == "hello"
    assert entered({"text": "new"}, hidden=("text",))["text"] == "new"


def test_a_description_helps() -> None:
    assert dict(fields(Everything, CURRENT))[f"{PREFIX}text"].help_text == "to be printed"


def test_a_reason_is_demanded_and_bounded() -> None:
    field = reason_field(of="with each run")
    assert field.required
    assert "with each run" in str(field.help_text)
    with pytest.raises(forms.ValidationError):
        field.clean("x" * 1001)
