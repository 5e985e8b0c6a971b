"""Firebase's official client for administrators against the stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import firebase_admin
import pytest
from firebase_admin import auth, credentials

from integrations.sandbox import google
from integrations.sandbox.process import RunningSandbox
from tests.contract.clients.detour import Detour


@pytest.fixture
def app(sandbox: RunningSandbox) -> Iterator[Any]:
    """An app that asks the sandbox for its tokens, too."""
    key = json.loads(google.credentials(sandbox.ledger.path).read_text())
    certificate = credentials.Certificate(
        {**key, "token_uri": f"{sandbox.address}{google.TOKEN_PATH}"}
    )
    app = firebase_admin.initialize_app(certificate, name=uuid4().hex)
    session = auth._get_client(app)._user_manager.http_client.session
    session.mount("https://", Detour(sandbox.address, "identitytoolkit.googleapis.com"))
    yield app
    session.close()
    firebase_admin.delete_app(app)


def test_an_account_is_made_found_changed_and_deleted(app: Any) -> None:
    email = f"Ann.{uuid4().hex}@example.com"
    made = auth.create_user(email=email, display_name="Ann", disabled=True, app=app)
    assert (made.email, made.disabled) == (email.lower(), True)
    assert auth.get_user_by_email(email, app=app).uid == made.uid
    changes = {"display_name": "Lee", "email_verified": True, "disabled": False}
    changed = auth.update_user(made.uid, **changes, app=app)
    assert (changed.display_name, changed.email_verified, changed.disabled) == ("Lee", True, False)
    assert (
        auth.update_user(made.uid, display_name=auth.DELETE_ATTRIBUTE, app=app).email == made.email
    )
    assert auth.get_user(made.uid, app=app).display_name is None
    auth.delete_user(made.uid, app=app)
    with pytest.raises(auth.UserNotFoundError):
        auth.get_user(made.uid, app=app)


def test_an_id_and_an_address_belong_to_one_account(app: Any) -> None:
    made = auth.create_user(uid=uuid4().hex, email=f"{uuid4().hex}@example.com", app=app)
    with pytest.raises(auth.UidAlreadyExistsError):
        auth.create_user(uid=made.uid, app=app)
    with pytest.raises(auth.EmailAlreadyExistsError):
        auth.create_user(email=made.email.upper(), app=app)


@pytest.mark.parametrize("unsupported", [{"password": "secret1"}, {"phone_number": "+15555550100"}])
def test_what_the_stand_in_does_not_do_is_refused(app: Any, unsupported: dict[str, str]) -> None:
    with pytest.raises(firebase_admin.exceptions.InvalidArgumentError):
        auth.create_user(**unsupported, app=app)
