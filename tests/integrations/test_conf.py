import pytest
from django.core.exceptions import ImproperlyConfigured

from integrations.conf import (
    AccountsSettings,
    AnalyticsSettings,
    EnvironmentSettings,
    HubSpotSettings,
    InventorySettings,
    NotificationsSettings,
    PaymentsSettings,
    SalesforceSettings,
    SlackSettings,
    load,
)


@pytest.fixture(autouse=True)
def no_partners(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAYMENTS_API_BASE", "PAYMENTS_API_KEY", "INVENTORY_URL", "SMTP_HOST"):
        monkeypatch.delenv(f"INTEGRATIONS_{name}", raising=False)


def test_payments_go_to_stripe_unless_an_address_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATIONS_PAYMENTS_API_KEY", "sk_test_1")
    assert load(PaymentsSettings).payments_api_base == "https://api.stripe.com"
    monkeypatch.setenv("INTEGRATIONS_PAYMENTS_API_BASE", "http://127.0.0.1:8000/")
    assert load(PaymentsSettings).payments_api_base == "http://127.0.0.1:8000"


def test_a_missing_setting_is_named_with_its_variable() -> None:
    with pytest.raises(ImproperlyConfigured, match="INTEGRATIONS_PAYMENTS_API_KEY: Field required"):
        load(PaymentsSettings)


def test_a_wrong_setting_is_named_but_its_value_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATIONS_INVENTORY_URL", "sk_live_pasted_here")
    with pytest.raises(ImproperlyConfigured, match="INTEGRATIONS_INVENTORY_URL") as caught:
        load(InventorySettings)
    assert "sk_live" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("key", ["sk_live_1\n", "sk_live_1 ", "sk_líve_1"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTEGRATIONS_PAYMENTS_API_KEY", key)
    with pytest.raises(ImproperlyConfigured, match=r"PAYMENTS_API_KEY: .*visible") as caught:
        load(PaymentsSettings)
    assert "sk_l" not in str(caught.value)


def test_a_key_shows_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATIONS_PAYMENTS_API_KEY", "sk_live_secret")
    monkeypatch.setenv("INTEGRATIONS_SMTP_HOST", "mail.example.com")
    monkeypatch.setenv("INTEGRATIONS_SMTP_PASSWORD", "hunter2")
    shown = f"{load(PaymentsSettings)!r} {load(NotificationsSettings)!r}"
    assert "sk_live" not in shown
    assert "hunter2" not in shown


def test_mail_is_encrypted_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATIONS_SMTP_HOST", "mail.example.com")
    monkeypatch.delenv("INTEGRATIONS_SMTP_SECURITY", raising=False)
    assert load(NotificationsSettings).smtp_security == "starttls"


@pytest.mark.parametrize(
    "address",
    ["", "hush", "ftp://host/hush", "http://host/hush", "https://hush", "https://h/hu sh"],
)
def test_a_webhook_that_is_no_address_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("INTEGRATIONS_SLACK_WEBHOOK_URL", address)
    with pytest.raises(ImproperlyConfigured, match="INTEGRATIONS_SLACK_WEBHOOK_URL") as caught:
        load(SlackSettings)
    assert "hush" not in str(caught.value)


def test_secrets_of_analytics_and_slack_show_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATIONS_ANALYTICS_MEASUREMENT_ID", "G-ABC123")
    monkeypatch.setenv("INTEGRATIONS_ANALYTICS_API_SECRET", "hush")
    monkeypatch.setenv("INTEGRATIONS_SLACK_WEBHOOK_URL", "https://hooks.slack.com/hush")
    assert "hush" not in f"{load(AnalyticsSettings)!r} {load(SlackSettings)!r}"


def test_a_measurement_id_of_the_old_analytics_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATIONS_ANALYTICS_MEASUREMENT_ID", "UA-12345-1")
    monkeypatch.setenv("INTEGRATIONS_ANALYTICS_API_SECRET", "hush")
    with pytest.raises(ImproperlyConfigured, match="INTEGRATIONS_ANALYTICS_MEASUREMENT_ID"):
        load(AnalyticsSettings)


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        (PaymentsSettings, "PAYMENTS_API_BASE"),
        (AccountsSettings, "ACCOUNTS_URL"),
        (AccountsSettings, "ACCOUNTS_TOKEN_URL"),
        (AnalyticsSettings, "ANALYTICS_URL"),
        (HubSpotSettings, "HUBSPOT_URL"),
        (SalesforceSettings, "SALESFORCE_URL"),
    ],
)
def test_no_secret_is_sent_to_another_machine_unencrypted(
    monkeypatch: pytest.MonkeyPatch, settings: type[EnvironmentSettings], variable: str
) -> None:
    monkeypatch.setenv(f"INTEGRATIONS_{variable}", "http://api.example.com")
    with pytest.raises(ImproperlyConfigured, match=rf"{variable}: .*must start with https://"):
        load(settings)
