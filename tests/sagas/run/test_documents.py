"""Whatever is let through, PostgreSQL accepts; and what comes back is what went in."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagas import db
from sagas.run.documents import NotADocument, addressable, clean, encode, public, reference

_LIMIT = 10_000
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.sampled_from(["\x00", "\ud800", "\udfff\ud800", "\\u0000", "\u2028", math.nan, 10**400])
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@pytest.mark.django_db
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(_TREES)
def test_what_is_let_through_is_stored_and_comes_back(value: Any) -> None:
    try:
        text = encode(value, _LIMIT)
    except NotADocument:
        return
    stored = db.execute("SELECT %s::jsonb::text", [text])[0][0]
    assert _exact(stored) == _exact(text)


def _exact(text: str) -> Any:
    """A large float comes back without its exponent, so as an integer of the same value."""
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


@settings(max_examples=200)
@given(st.text(st.characters(codec=None)), st.integers(min_value=0, max_value=50))
def test_clean_words_are_short_and_storable(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    cleaned.encode()
    assert "\x00" not in cleaned
    assert len(cleaned) <= limit


def test_clean_words_stay_as_they_are() -> None:
    assert clean("Grüße, 🦉") == "Grüße, 🦉"


def _nested(depth: int, wrap: Any) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "not JSON compliant"),
        ([1, {"x": -math.inf}], "not JSON compliant"),
        ("a\x00b", "a NUL character"),
        ({"a\x00": 1}, "a NUL character"),
        (({"x": ["\x00"]},), "a NUL character"),
        ({"\ud83e": 1}, "a lone surrogate"),
        (["\udfff"], "a lone surrogate"),
        (object(), "not JSON serializable"),
        ({1, 2}, "not JSON serializable"),
        (Decimal(1), "not JSON serializable"),
        ({(1, 2): 3}, "keys must be"),
        ("x" * _LIMIT, "larger than 10000 bytes"),
        ("é" * (_LIMIT // 2), "larger than 10000 bytes"),
        (_nested(150, lambda v: [v]), "nested deeper than 100"),
        (_nested(150, lambda v: {"x": v}), "nested deeper than 100"),
        (_nested(150, lambda v: (v,)), "nested deeper than 100"),
        (_nested(100_000, lambda v: [v]), "nested too deeply"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else "",
)
def test_what_cannot_be_stored_is_refused_with_its_reason(value: Any, reason: str) -> None:
    with pytest.raises(NotADocument, match=reason):
        encode(value, _LIMIT)


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotADocument, match="Circular"):
        encode(value, _LIMIT)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"items": [{"name": "a"}, {"name": "b\x00"}]}, "items.1.name"),
        ({"a": {"b": math.nan}}, "a.b"),
        ({"a": [1, 10**5000]}, "a.1"),
        ({"a": [0, {"b": object()}]}, "a.1.b"),
        ({"a": {"\ud800": 1}}, "a.�"),
        ("\x00", ""),
        ({"n": {10**5000: 1}}, "n.int"),
    ],
)
def test_a_refusal_names_the_place(value: Any, field: str) -> None:
    with pytest.raises(NotADocument) as refused:
        encode(value, _LIMIT)
    assert refused.value.field == field
    assert repr(public(field)) in str(refused.value) or not field


def test_a_value_that_contains_itself_beside_what_is_no_json_is_refused() -> None:
    value: list[Any] = [object()]
    value.append(value)
    with pytest.raises(NotADocument):
        encode(value, _LIMIT)


@settings(max_examples=200, deadline=None)
@given(_TREES, st.text(st.characters(codec=None)))
def test_a_reference_to_anything_can_be_stored(value: Any, reason: str) -> None:
    stand_in = json.loads(encode(json.loads(reference(value, reason)), _LIMIT))
    assert stand_in["truncated"] is True
    assert len(stand_in["sha256"]) == 64


def test_a_reference_tells_values_apart_and_their_size() -> None:
    one, other = (json.loads(reference("x" * n, "large")) for n in (1000, 1001))
    assert (one["bytes"], other["bytes"]) == (1002, 1003)
    assert one["sha256"] == sha256(b'"' + b"x" * 1000 + b'"').hexdigest()
    assert one["sha256"] != other["sha256"]


def test_a_number_of_very_many_digits_is_refused() -> None:
    with pytest.raises(NotADocument, match="4300 digits"):
        encode(10**5000, _LIMIT)


@pytest.mark.parametrize("value", ["\\u0000", "\\\\u0000"])
def test_a_backslash_and_zeros_are_no_nul(value: str) -> None:
    assert json.loads(encode(value, _LIMIT)) == value


def test_just_large_and_just_deep_enough() -> None:
    assert len(encode("x" * (_LIMIT - 2), _LIMIT)) == _LIMIT
    encode(_nested(99, lambda v: [v]), _LIMIT)


def test_the_text_is_compact_and_readable() -> None:
    assert encode({"name": "Zoë", "n": [1, 2.5]}, _LIMIT) == '{"name":"Zoë","n":[1,2.5]}'


@pytest.mark.parametrize(
    ("name", "correlation", "fits"),
    [
        ("paid", "order:1", True),
        ("p" * 80, "c" * 200, True),
        ("", "c", False),
        ("p", "", False),
        ("p" * 81, "c", False),
        ("p", "c" * 201, False),
        ("p\x00", "c", False),
        ("p", "\ud800", False),
    ],
)
def test_a_signal_must_be_addressable(name: str, correlation: str, fits: bool) -> None:
    assert addressable(name, correlation) is fits
