"""The keys: the first signs, former ones still check, and none gets into the database."""

from __future__ import annotations

from uuid import uuid4

import pytest
from pytest_django import Settings

from sagas import db, keys

RUN = uuid4()


def test_the_project_s_secret_key_signs_unless_the_audit_has_one_of_its_own(
    settings: Settings,
) -> None:
    by_default = keys.signing()
    settings.SECRET_KEY_FALLBACKS = ["former" * 10]
    assert (len(keys.known()), keys.signing()) == (2, by_default)
    settings.SAGAS = {"AUDIT_KEY": "own" * 20, "AUDIT_KEY_FALLBACKS": [settings.SECRET_KEY]}
    assert keys.signing() != by_default
    assert list(keys.known().values())[1:] == [by_default]


def test_a_signature_holds_for_its_text_alone_and_as_long_as_its_key_is_known(
    settings: Settings,
) -> None:
    signature = keys.signing().sign("a head")
    assert keys.holds(signature, "a head") is True
    assert keys.holds(signature, "another") is False
    assert keys.holds(f"{signature}ä", "a head") is False
    former, settings.SECRET_KEY = settings.SECRET_KEY, "new" * 20
    assert keys.holds(signature, "a head") is None
    settings.SECRET_KEY_FALLBACKS = [former]
    assert keys.holds(signature, "a head") is True


@pytest.mark.django_db
@pytest.mark.parametrize("text", ['{"b": 1.50, "a": [1e5, null]}', '"\\u00e4\\u2028"', "null"])
def test_the_database_and_python_make_the_same_digest(text: str) -> None:
    document = {"document": text}
    made = f"SELECT {keys.DIGEST.format('%(document)s::jsonb')}"
    inner = f"SELECT {keys.INNER.format('%(document)s::jsonb')}"
    ((digest,),) = db.execute(made, keys.parameters(RUN) | document)
    ((hashed,),) = db.execute(inner, document)
    assert keys.signing().digest(RUN, bytes(hashed)) == digest
    assert keys.signing().digest(uuid4(), bytes(hashed)) != digest


def test_a_key_is_not_among_what_a_statement_is_given(settings: Settings) -> None:
    secret = keys.signing().secret
    given = keys.parameters(RUN).values()
    assert not any(secret in (value if isinstance(value, bytes) else b"") for value in given)
    assert settings.SECRET_KEY not in map(str, given)
