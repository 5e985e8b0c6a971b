"""Form fields for data that a pydantic model describes, and the data from what was entered.

The model has the last word: the fields only make it easy to enter what it will accept.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django import forms
from pydantic import BaseModel

PREFIX = "input-"  #: of the fields' names, so that they meet no others
_KEEP = "Hidden from you. Leave it empty to keep what is there."
_LONG = 80  # characters from which a text gets more than one line


def fields(
    model: type[BaseModel], current: Mapping[str, Any], hidden: Collection[str] = ()
) -> Iterator[tuple[str, forms.Field]]:
    """A form field for each of the model's, with what is there now.

    Args:
        current: the document as it is.
        hidden: fields whose value must not be shown; left empty they are kept.
    """
    schema = model.model_json_schema(by_alias=False)
    for name, described in schema.get("properties", {}).items():
        secret = name in hidden
        value = None if secret else current.get(name)
        field = _field(_resolved(described, schema), value)
        field.label = name
        field.required = False  # what is required is the model's to say
        field.help_text = _KEEP if secret else described.get("description", "")
        yield f"{PREFIX}{name}", field


def document(
    model: type[BaseModel],
    entered: Mapping[str, Any],
    current: Mapping[str, Any],
    hidden: Collection[str] = (),
) -> dict[str, Any]:
    """The document from a form's cleaned data. An empty entry leaves a field that may be left out
    to its default, and one that is hidden as it is.
    """
    made = {name: value for name, value in current.items() if name not in model.model_fields}
    for name, described in model.model_fields.items():
        value = entered.get(f"{PREFIX}{name}")
        empty = value is None or value == ""
        if empty and (name in hidden or (name in current and current[name] is None)):
            made |= {name: current[name]} if name in current else {}
        elif not empty:
            made[name] = value
        elif described.is_required() or current.get(name) == "":
            made[name] = ""
    return made


def _resolved(described: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A field's schema without references, and without the null that it may be."""
    while "$ref" in described:
        described = schema["$defs"][described["$ref"].rpartition("/")[2]]
    options = [o for o in described.get("anyOf", ()) if o.get("type") != "null"]
    return _resolved(options[0], schema) if len(options) == 1 else described


def _field(described: dict[str, Any], value: Any) -> forms.Field:
    if "enum" in described:
        words = [(_word(word), _word(word)) for word in described["enum"]]
        return forms.ChoiceField(choices=[("", "—"), *words], initial=_word(value))
    match described.get("type"):
        case "boolean":
            words = [("", "—"), ("true", "yes"), ("false", "no")]
            return forms.TypedChoiceField(
                choices=words, coerce=lambda v: v == "true", empty_value=None, initial=_word(value)
            )
        case "integer":
            return forms.IntegerField(initial=value)
        case "number":
            return forms.DecimalField(initial=value)
        case "string":
            long = isinstance(value, str) and (len(value) > _LONG or "\n" in value)
            widget = forms.Textarea(attrs={"rows": 4}) if long else forms.TextInput()
            return forms.CharField(initial=value, strip=False, widget=widget)
    return JSONText(initial=value)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def reason_field(label: str = "Why", of: str = "", *, required: bool = True) -> forms.Field:
    """The field for why something is done.

    Args:
        of: with what else it is kept, as in ``with each run``.
    """
    kept = f"Kept in the audit{f' {of}' if of else ''}, for those who come after you."
    rows = forms.Textarea(attrs={"rows": 2})
    return forms.CharField(
        max_length=1000,
        label=label if required else f"{label} (optional)",
        help_text=kept,
        widget=rows,
        required=required,
    )


class JSONText(forms.CharField):
    """Any JSON, as text."""

    widget = forms.Textarea(attrs={"rows": 5, "spellcheck": "false", "class": "json"})

    def prepare_value(self, value: Any) -> Any:
        """What is there, in lines; what was entered, as it was."""
        if value is None or isinstance(value, str):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False)

    def clean(self, value: Any) -> Any:
        """The data; None if nothing was entered."""
        text = (value or "").strip()
        if not text:
            return None
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(f"This is not JSON: {error}.") from None
