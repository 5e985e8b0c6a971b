"""The certificate of the mail sink."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from integrations.sandbox.certificate import certificate, context


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_certificate_names_the_address_that_is_listened_on(host: str, tmp_path: Path) -> None:
    path = certificate(tmp_path / "ledger.sqlite3")
    context(path, host)
    made = x509.load_pem_x509_certificate(path.read_bytes())
    (name,) = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert str(name.value) == host


def test_it_is_its_owners_alone_and_anew_at_each_start(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.pem"
    made = []
    for _ in range(2):
        context(path, "127.0.0.1")
        assert path.stat().st_mode & 0o777 == 0o600
        made.append(path.read_bytes())
    assert made[0] != made[1]
