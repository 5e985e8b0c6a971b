from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from integrations.conf import WebhooksSettings
from integrations.webhooks import sources
from integrations.webhooks.sources import SOURCES, keys, public_url
from tests.integrations.webhooks.senders import NEW, OLD, trusted


def test_every_source_has_its_setting_and_none_is_left_over() -> None:
    settings = {name for name in WebhooksSettings.model_fields if name.endswith("_secrets")}
    assert settings == {source.setting for source in SOURCES.values()}


def test_secrets_have_commas_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with trusted(monkeypatch, f" {OLD} ", NEW):
        assert len(keys("shipping")) == 2
        assert keys("payments") == [OLD.encode(), NEW.encode()]
    with trusted(monkeypatch):
        assert keys("shipping") == []


@pytest.mark.parametrize("secret", ["whsec_too_short", "whsec_not%base64%at%all%"])
def test_a_secret_that_is_none_is_named_by_its_variable_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    with (
        trusted(monkeypatch, secret),
        pytest.raises(ImproperlyConfigured, match="INTEGRATIONS_WEBHOOKS_") as error,
    ):
        keys("shipping")
    assert secret not in str(error.value)


def test_the_public_address_is_the_servers_unless_it_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert public_url() is None
    monkeypatch.setenv("INTEGRATIONS_WEBHOOKS_PUBLIC_URL", "")
    sources.forget()
    assert public_url() is None
    monkeypatch.setenv("INTEGRATIONS_WEBHOOKS_PUBLIC_URL", "https://shop.example.com/")
    sources.forget()
    assert public_url() == "https://shop.example.com"
