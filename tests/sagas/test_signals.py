from __future__ import annotations

from unittest.mock import patch

from sagas.signals import Health, PartnerHealth, partner_health


def test_what_is_told_of_a_partner_is_a_plain_value() -> None:
    told = PartnerHealth("bank", Health.OK)
    assert told == PartnerHealth("bank", Health.OK, "")
    assert {told} == {PartnerHealth("bank", Health.OK)}


def test_nobody_has_to_tell_anything() -> None:
    with patch.object(partner_health, "receivers", []):
        assert partner_health.send_robust(sender=None) == []
