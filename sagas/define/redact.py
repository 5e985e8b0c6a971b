"""Redaction: documents to be shown to people without what is none of their business. Pure.

A field is redacted because its model marks it, or because of its name. The shape stays visible.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from functools import partial
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel
from typing_extensions import TypeAliasType, is_typeddict

HIDDEN = "•••"  #: stands for a value that is not shown

_Kinds = Sequence[Any]
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Redacted:
    """Marks what only those see who may reveal it: ``iban: Annotated[str, Redacted]``.

    It works in the models of payloads and of results, at any depth; it changes no value.
    """


def redact(document: Any, names: Collection[str], kind: Any = None) -> Any:
    """A copy of a JSON document with a mark in place of each redacted value.

    Args:
        document: plain data.
        names: fields to redact wherever they occur, also as a part of a longer name: ``email``
            covers ``customer_email`` and ``customerEmail``.
        kind: the type whose document it is, with its fields' marks; None: there are only names.
    """
    try:
        return _walked(document, matcher(names), [] if kind is None else [kind])
    except RecursionError:
        return HIDDEN


def hidden(document: Any) -> Any:
    """The shape alone: every value that is not null is a mark."""
    match document:
        case None:
            return None
        case dict():
            return {key: hidden(value) for key, value in document.items()}
        case list():
            return [hidden(value) for value in document]
    return HIDDEN


def _walked(value: Any, named: Callable[[str], bool], kinds: _Kinds) -> Any:
    plain = list(_plain(kinds))
    if Redacted in plain:
        return hidden(value)
    if isinstance(value, dict):
        return {k: _field(k, item, named, plain) for k, item in value.items()}
    if isinstance(value, list):
        return [_walked(item, named, _items(plain)) for item in value]
    return value


def _field(name: str, value: Any, named: Callable[[str], bool], kinds: _Kinds) -> Any:
    if named(name):
        return hidden(value)
    return _walked(value, named, [inner for kind in kinds for inner in _of_field(kind, name)])


# --- names ---------------------------------------------------------------------------------


def matcher(names: Collection[str]) -> Callable[[str], bool]:
    """Whether a field goes by one of these names, or has one as a part of its own."""
    return partial(_named, frozenset(f"_{_words(name)}_" for name in names))


def _named(names: frozenset[str], field: str) -> bool:
    words = f"_{_words(field)}_"
    return any(name in words for name in names)


def _words(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", _CAMEL.sub("_", name).lower()).strip("_")


# --- types ---------------------------------------------------------------------------------


def _plain(kinds: _Kinds) -> Iterator[Any]:
    """What a value may be, without aliases, unions and notes; the mark itself if it has one."""
    for kind in kinds:
        origin: Any = get_origin(kind)
        if origin is Annotated:
            inner, *notes = get_args(kind)
            yield from (Redacted for note in notes if _marks(note))
            yield from _plain([inner])
        elif origin in (Union, types.UnionType):
            yield from _plain(get_args(kind))
        elif isinstance(kind, TypeAliasType):
            yield from _plain([kind.__value__])
        elif isinstance(kind, typing.NewType):
            yield from _plain([kind.__supertype__])
        elif isinstance(kind, type) and issubclass(kind, RootModel):
            yield from _plain(list(_of_field(kind, "root")))
        else:
            yield kind


def _marks(note: Any) -> bool:
    return note is Redacted or isinstance(note, Redacted)


def _of_field(kind: Any, name: str) -> Iterator[Any]:
    """The types of a field; the mark itself if the field has one."""
    origin = get_origin(kind) or kind
    if isinstance(origin, type) and issubclass(origin, BaseModel):
        for own, field in origin.model_fields.items():
            if name in (own, field.alias, field.serialization_alias):
                yield from (Redacted for note in field.metadata if _marks(note))
                yield field.annotation
    elif is_dataclass(origin) or is_typeddict(origin):
        yield from (hint for field, hint in _hints(origin).items() if field == name)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield from get_args(kind)[1:]


def _items(kinds: _Kinds) -> list[Any]:
    return [inner for kind in kinds for inner in _of_items(kind)]


def _of_items(kind: Any) -> Iterator[Any]:
    origin = get_origin(kind) or kind
    if not isinstance(origin, type) or issubclass(origin, Mapping):
        return
    if issubclass(origin, tuple) and hasattr(origin, "_fields"):
        yield from _hints(origin).values()
    elif issubclass(origin, Collection):
        yield from (inner for inner in get_args(kind) if inner is not Ellipsis)


def _hints(kind: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except NameError:  # a name that only type checkers see: what it marks cannot be known
        return dict.fromkeys(kind.__annotations__, Redacted)
