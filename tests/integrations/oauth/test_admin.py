import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.urls import reverse

from integrations.oauth.models import Token
from integrations.oauth.sealing import VARIABLE, Sealed


@pytest.fixture
def token(db: None, monkeypatch: pytest.MonkeyPatch) -> Token:
    monkeypatch.setenv(VARIABLE, Fernet.generate_key().decode())
    secrets = {"access": Sealed.of("secret-a"), "refresh": Sealed.of("secret-r")}
    return Token.objects.create(partner="hubspot", credential="our-id", generation=7, **secrets)


def test_no_secret_is_shown_and_no_key_needed(
    token: Token, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert token.access
    monkeypatch.delenv(VARIABLE)
    pages = [
        reverse("admin:integrations_oauth_token_changelist"),
        reverse("admin:integrations_oauth_token_change", args=[token.pk]),
    ]
    for page in pages:
        shown = admin_client.get(page).content.decode()
        assert "our-id" in shown
        for secret in ("secret-", token.access.text, "sealed with"):
            assert secret not in shown


@pytest.mark.parametrize("page", ["add", "delete"])
def test_nothing_can_be_written(page: str, token: Token, admin_client: Client) -> None:
    place = [] if page == "add" else [token.pk]
    url = reverse(f"admin:integrations_oauth_token_{page}", args=place)
    assert admin_client.post(url, {}).status_code == 403
    url = reverse("admin:integrations_oauth_token_change", args=[token.pk])
    assert admin_client.post(url, {"generation": 1}).status_code == 403
