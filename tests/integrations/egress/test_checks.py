from __future__ import annotations

import pytest
from django.core.checks import run_checks

from integrations.egress.checks import check_egress
from integrations.resilience.checks import refuse_bad_settings


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://proxy.internal:3128",
        "http://proxy.internal:3128/",
        "http://us:secret@10.0.0.9:80",
        "http://[fd00::9]:3128",
    ],
)
def test_the_address_of_a_proxy_passes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATIONS_EGRESS_PROXY", url)
    assert check_egress() == []


@pytest.mark.parametrize(
    "url",
    [
        "proxy.internal:3128",
        "http://proxy.internal",
        "http://secret:3128:1",
        "http://proxy.internal:65536",
        "http://proxy.internal:0",
        "https://proxy.internal:3128",
        "socks5://proxy.internal:1080",
        "http://us:secret@proxy.internal:3128/path",
        "http://us er:secret@proxy.internal:3128",
    ],
)
def test_what_is_no_address_of_a_proxy_is_an_error_before_anything_is_called(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTEGRATIONS_EGRESS_PROXY", url)
    (error,) = [e for e in run_checks() if e.id == "integrations.E004"]
    assert "INTEGRATIONS_EGRESS_PROXY" in error.msg
    assert "http://host:port" in error.msg
    assert "secret" not in error.msg
    assert "docs/connectors/egress.md" in (error.hint or "")
    with pytest.raises(SystemExit, match=r"integrations\.E004"):
        refuse_bad_settings()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_that_nothing_reads_is_a_warning(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://proxy.internal:3128")
    (caution,) = [w for w in run_checks() if w.id == "integrations.W005"]
    assert name in caution.msg
    assert "INTEGRATIONS_EGRESS_PROXY" in (caution.hint or "")
    monkeypatch.setenv("INTEGRATIONS_EGRESS_PROXY", "http://proxy.internal:3128")
    assert check_egress() == []
