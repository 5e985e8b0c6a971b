import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.exceptions import FieldError

from integrations.oauth.models import Token
from integrations.oauth.sealing import VARIABLE, Sealed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, Fernet.generate_key().decode())


def test_a_plain_secret_does_not_get_into_the_database() -> None:
    with pytest.raises(TypeError, match="access takes a Sealed, not a str"):
        Token.objects.create(partner="a", credential="1", access="plain")  # type: ignore[misc]


def test_an_encrypted_column_is_not_searched() -> None:
    with pytest.raises(FieldError, match="encrypted"):
        Token.objects.filter(access=Sealed.of("x")).exists()
    assert not Token.objects.filter(access__isnull=True).exists()


def test_a_dump_holds_what_is_stored_and_comes_back() -> None:
    Token.objects.create(partner="a", credential="1", access=Sealed.of("secret"))
    dump = serializers.serialize("json", Token.objects.all())
    assert "secret" not in dump
    Token.objects.all().delete()
    for restored in serializers.deserialize("json", dump):
        restored.save()
    token = Token.objects.get()
    assert token.access
    assert token.access.open() == "secret"
    assert token.refresh is None
