"""The engine's settings."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from sagas.conf import Conf, conf


def test_without_a_setting_the_defaults_hold() -> None:
    with override_settings(SAGAS={}):
        assert conf() == Conf()
        assert conf().LEASE_SECONDS == 30


def test_a_setting_takes_effect_at_once_and_ends_with_its_override() -> None:
    before = conf()
    with override_settings(SAGAS={"LEASE_SECONDS": 7, "POISON_ATTEMPTS": 2}):
        assert (conf().LEASE_SECONDS, conf().POISON_ATTEMPTS) == (7, 2)
    assert conf() == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"LEASE_SECOND": 7}, "SAGAS['LEASE_SECOND']: Extra inputs are not permitted"),
        ({"LEASE_SECONDS": 0}, "SAGAS['LEASE_SECONDS']: Input should be greater than 0"),
        ({"LEASE_SECONDS": "soon"}, "SAGAS['LEASE_SECONDS']: Input should be a valid number"),
        ({"SWEEP_BATCH": -1}, "SAGAS['SWEEP_BATCH']: Input should be greater than 0"),
        ({"SWEEP_BATCH": 1.5}, "SAGAS['SWEEP_BATCH']: Input should be a valid integer"),
        (
            {"BATCH_PER_SECOND": 0},
            "SAGAS['BATCH_PER_SECOND']: Input should be greater than or equal",
        ),
        (
            {"BATCH_PER_SECOND": 201},
            "SAGAS['BATCH_PER_SECOND']: Input should be less than or equal",
        ),
        ({"LINKS": {"a": "javascript:alert(1)"}}, "an address starts with https://, http:// or /"),
        ({"LINKS": {"a": "//elsewhere.example"}}, "an address starts with https://, http:// or /"),
        ({"LINKS": {"a": "/{run_id"}}, "its braces are wrong"),
        ({"LINKS": {"a": "/{payload}"}}, "{payload} is none of {business_key}, {run_id}, {saga}"),
        ({"LINKS": {"a": "/{saga.__class__}"}}, "{saga.__class__} is none of"),
        ({"LINKS": {"a": "/{run_id!r}"}}, "{run_id} is none of"),
        ({"LINKS": {"a": "/{}"}}, "{} is none of"),
    ],
)
def test_a_setting_that_is_wrong_is_named(given: dict[str, Any], message: str) -> None:
    with override_settings(SAGAS=given), pytest.raises(ImproperlyConfigured) as caught:
        conf()
    assert str(caught.value).startswith("The setting SAGAS is wrong. ")
    assert message in str(caught.value)


def test_links_may_leave_open_what_a_run_is_known_by() -> None:
    links = {"trace": "https://traces.example/{run_id}?key={business_key}", "log": "/log/{saga}"}
    with override_settings(SAGAS={"LINKS": links}):
        assert links == conf().LINKS


def test_every_wrong_setting_is_named_at_once() -> None:
    wrong = {"LEASE_SECONDS": 0, "NONSENSE": 1}
    with override_settings(SAGAS=wrong), pytest.raises(ImproperlyConfigured) as caught:
        conf()
    assert "LEASE_SECONDS" in str(caught.value)
    assert "NONSENSE" in str(caught.value)


def test_another_setting_leaves_it_alone() -> None:
    before = conf()
    with override_settings(DEBUG=True):
        assert conf() is before
