"""Redaction: documents to be shown to people without what is none of their business. Pure.

A field is redacted because its model marks it, because of its name, or because no model declares it
and its name is not known to be harmless. The shape stays visible.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache, partial
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel
from typing_extensions import TypeAliasType, is_typeddict

HIDDEN = "•••"  #: stands for a value that is not shown

#: Fields that are shown though nothing declares them, if their value is a number or one word.
HARMLESS = frozenset(
    (
        *("id", "object", "type", "kind", "version", "status", "state", "result", "reason"),
        *("outcome", "ok", "success", "livemode", "currency", "amount", "total", "price", "fee"),
        *("net", "gross", "count", "quantity", "size", "limit", "offset", "sku", "unit"),
        *("attempt", "attempts", "priority", "position", "percent", "points", "score", "created"),
        *("updated", "created_at", "updated_at", "truncated", "bytes", "sha256"),
    )
)

_Kinds = Sequence[Any]
_INDEX = re.compile(r"[0-9]{1,5}")
_FIELD = re.compile(r"(?!.*[0-9]{5})[a-z_][A-Za-z0-9_-]{0,39}")  # a key that is no value
_WORD = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_.:/+-]{0,199}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Redacted:
    """Marks what only those see who may reveal it: ``iban: Annotated[str, Redacted]``.

    It works in the models of payloads and of results, at any depth; it changes no value.
    """


def redact(document: Any, names: Collection[str], kind: Any) -> Any:
    """A copy of a JSON document with a mark in place of each redacted value.

    What no type declares is redacted too, but for harmless fields: see ``HARMLESS``.

    Args:
        document: plain data.
        names: fields to redact wherever they occur, also as a part of a longer name: ``email``
            covers ``customer_email`` and ``customerEmail``.
        kind: the type whose document it is, with its fields' marks; ``Any`` declares nothing.
    """
    try:
        return _walked(document, matcher(names), [kind])
    except RecursionError:
        return HIDDEN


def masked(model: BaseModel, names: Collection[str]) -> Any:
    """A copy of a model with a mark in place of each redacted value, for code that makes a text.

    What its code worked out from the values before is not in the copy. A mark is a text, whatever
    the value was.

    Args:
        names: as in ``redact``.
    """
    return _copied(model, matcher(names), [])


def redact_names(document: Any, names: Collection[str]) -> Any:
    """The same of a document of the engine's own, all of whose fields are known: by names alone."""
    try:
        return _by_name(document, matcher(names))
    except RecursionError:
        return HIDDEN


def secrets(document: Any, names: Collection[str], kind: Any) -> Iterator[str]:
    """The texts, and the numbers as texts, that ``redact`` puts a mark in place of."""
    shown = redact(document, names, kind)
    stack = [(document, shown)]
    while stack:
        value, seen = stack.pop()
        if isinstance(value, dict):
            shows = seen if isinstance(seen, dict) else dict.fromkeys(value, HIDDEN)
            stack.extend((key, HIDDEN) for key in value if key not in shows)
            stack.extend(zip(value.values(), shows.values(), strict=True))
        elif isinstance(value, list):
            children = seen if isinstance(seen, list) else [HIDDEN] * len(value)
            stack.extend(zip(value, children, strict=True))
        elif seen == HIDDEN and isinstance(value, str | int | float):
            yield str(value)


def place_of(parts: Iterable[str | int]) -> str:
    """A place in a document, such as ``items.0.price``, without keys that may be somebody's."""
    return ".".join(map(_part, parts))


def _part(part: str | int) -> str:
    known = isinstance(part, int) or _INDEX.fullmatch(part) or _FIELD.fullmatch(part)
    return str(part) if known else HIDDEN


def hidden(document: Any) -> Any:
    """The shape alone: every value that is not null is a mark."""
    match document:
        case None:
            return None
        case dict():
            fields = enumerate(document.items())
            return {_key(key, place): hidden(value) for place, (key, value) in fields}
        case list():
            return [hidden(value) for value in document]
    return HIDDEN


def _walked(value: Any, named: Callable[[str], bool], kinds: _Kinds) -> Any:
    plain = list(_plain(kinds))
    if Redacted in plain:
        return hidden(value)
    if isinstance(value, dict):
        fields = enumerate(value.items())
        return {_key(k, place, plain): _field(k, v, named, plain) for place, (k, v) in fields}
    if isinstance(value, list):
        return [_walked(item, named, _items(plain)) for item in value]
    return value if value is None or _declares(plain) else HIDDEN


def _field(name: str, value: Any, named: Callable[[str], bool], kinds: _Kinds) -> Any:
    if named(name):
        return hidden(value)
    inner = [kind for outer in kinds for kind in _of_field(outer, name)]
    return value if _is_harmless(name, value, inner) else _walked(value, named, inner)


def _is_harmless(name: str, value: Any, kinds: _Kinds) -> bool:
    """Whether a field is shown though nothing declares it."""
    declared = list(_plain(kinds))
    return (
        name in HARMLESS
        and is_plain(value)
        and Redacted not in declared
        and not _declares(declared)
    )


def _by_name(value: Any, named: Callable[[str], bool]) -> Any:
    if isinstance(value, dict):
        fields = value.items()
        return {k: hidden(v) if named(k) else _by_name(v, named) for k, v in fields}
    if isinstance(value, list):
        return [_by_name(item, named) for item in value]
    return value


def is_plain(value: Any) -> bool:
    """Whether it is a number or one word, which leaves no room for a sentence or an address."""
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return isinstance(value, int | float)


def _key(name: str, place: int, kinds: _Kinds = ()) -> str:
    """The name of a field; a mark for a key that is none, such as an address."""
    known = _FIELD.fullmatch(name) or any(True for k in kinds for _ in _of_own_field(k, name))
    return name if known else f"{HIDDEN} {place}"


def _declares(kinds: Iterable[Any]) -> bool:
    """Whether types say what a value is, so that their author has left it unmarked on purpose."""
    found = [kind for kind in kinds if kind is not None and kind is not types.NoneType]
    return bool(found) and not any(k in _ANYTHING or isinstance(k, typing.TypeVar) for k in found)


_ANYTHING: tuple[Any, ...] = (Any, object, Redacted)


# --- values of Python's --------------------------------------------------------------------


class _Mark(str):
    """Printed as it is, whatever format was meant for the value that it stands for."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return str(self)


_MARK = _Mark(HIDDEN)


def _copied(value: Any, named: Callable[[str], bool], kinds: _Kinds) -> Any:
    plain = list(_plain([*kinds, type(value)]))
    if Redacted in plain:
        return _covered(value)

    def of_field(name: str, item: Any) -> Any:
        root = isinstance(value, RootModel)
        inner = plain if root else [kind for outer in plain for kind in _of_field(outer, name)]
        if named(name):
            return _covered(item)
        return item if _is_harmless(name, item, inner) else _copied(item, named, inner)

    copy = _rebuilt(value, of_field, lambda item: _copied(item, named, _items(plain)))
    return _MARK if copy is value and value is not None and not _declares(_plain(kinds)) else copy


def _covered(value: Any) -> Any:
    """The shape alone, as ``hidden``."""
    if value is None:
        return None
    copy = _rebuilt(value, lambda name, item: _covered(item), _covered)
    return _MARK if copy is value else copy


def _rebuilt(value: Any, of_field: Callable[[str, Any], Any], of_item: Callable[[Any], Any]) -> Any:
    """The value with other parts; itself if it has none."""
    match value:
        case BaseModel():
            return _model(value, of_field)
        case Mapping():
            return {key: of_field(str(key), item) for key, item in value.items()}
        case str() | bytes() | bytearray() | type():
            return value
        case tuple() if hasattr(value, "_fields"):
            return type(value)._make(map(of_item, value))  # type: ignore[attr-defined]
        case tuple():
            return tuple(map(of_item, value))
        case Collection():
            return list(map(of_item, value))
        case Iterator():  # who looks at it uses it up
            return _MARK
    if not is_dataclass(value):
        return value
    copy = object.__new__(type(value))
    for field in fields(value):
        object.__setattr__(copy, field.name, of_field(field.name, getattr(value, field.name)))
    return copy


def _model(model: BaseModel, of_field: Callable[[str, Any], Any]) -> BaseModel:
    """As ``model_construct``, but no code of the model's runs, and only fields are copied."""
    copy = model.__class__.__new__(model.__class__)
    names, extra = type(model).model_fields, model.model_extra
    parts = {name: of_field(name, v) for name, v in vars(model).items() if name in names}
    more = None if extra is None else {n: of_field(n, item) for n, item in extra.items()}
    object.__setattr__(copy, "__dict__", parts)
    object.__setattr__(copy, "__pydantic_fields_set__", set(model.model_fields_set))
    object.__setattr__(copy, "__pydantic_extra__", more)
    object.__setattr__(copy, "__pydantic_private__", None)
    return copy


# --- names ---------------------------------------------------------------------------------


def matcher(names: Collection[str]) -> Callable[[str], bool]:
    """Whether a field goes by one of these names, or has one as a part of its own."""
    return partial(_named, frozenset(f"_{_words(name)}_" for name in names))


def _named(names: frozenset[str], field: str) -> bool:
    words = f"_{_words(field)}_"
    return any(name in words for name in names)


@lru_cache(maxsize=4096)
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
    if isinstance(origin, type) and issubclass(origin, Mapping) and not is_typeddict(origin):
        yield from get_args(kind)[1:]
    else:
        yield from _of_own_field(kind, name)


def _of_own_field(kind: Any, name: str) -> Iterator[Any]:
    """The same of a type that has fields of its own."""
    origin = get_origin(kind) or kind
    if isinstance(origin, type) and issubclass(origin, BaseModel):
        for own, field in origin.model_fields.items():
            if name in (own, field.alias, field.serialization_alias):
                yield from (Redacted for note in field.metadata if _marks(note))
                yield field.annotation
    elif is_dataclass(origin) or is_typeddict(origin):
        yield from (hint for field, hint in _hints(origin).items() if field == name)


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
