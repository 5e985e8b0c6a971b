import pytest

from integrations.sandbox.forms import nest, read_params


def test_names_in_brackets_nest() -> None:
    form = "amount=5&metadata[reference]=order%3A1&metadata[key]=k&created[gte]=7"
    assert nest(form) == {
        "amount": "5",
        "metadata": {"reference": "order:1", "key": "k"},
        "created": {"gte": "7"},
    }


def test_an_empty_value_is_kept() -> None:
    assert nest("description=") == {"description": ""}


def test_what_is_given_several_times_is_kept_as_often() -> None:
    assert nest("a=1&b=4&a=2&a=3") == {"a": ["1", "2", "3"], "b": "4"}
    assert nest("a[]=1&a[]=2&a[x]=3") == {"a": {"0": "1", "1": "2", "x": "3"}}


def test_a_body_is_read_as_what_it_says_it_is() -> None:
    assert read_params("application/json", b'{"quantity": 2}') == {"quantity": 2}
    assert read_params("application/x-www-form-urlencoded", b"quantity=2") == {"quantity": "2"}


_NESTED = b'{"a":' * 100_000


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff"])
def test_a_json_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"Expecting|object|decode"):
        read_params("application/json", body)


@pytest.mark.parametrize("body", [_NESTED, b'{"a": "\\ud800"}', b'{"a": NaN}'])
def test_a_json_body_that_cannot_be_kept_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"nested too deeply|no JSON number"):
        read_params("application/json", body)


@pytest.mark.parametrize("form", ["metadata=a&metadata[x]=b", "metadata[x]=b&metadata=a"])
def test_a_name_with_a_value_cannot_have_fields_too(form: str) -> None:
    with pytest.raises(ValueError, match="metadata is given both as a value and as fields"):
        nest(form)
