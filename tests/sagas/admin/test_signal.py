from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client

from sagas.models import Signal
from tests.sagas.admin.records import PAGES, pages_of, run


def test_a_signal_links_to_the_run_that_took_it(viewer: Client) -> None:
    made = run()
    for page in (PAGES["signal"], pages_of(made)["signal"]):
        assert pages_of(made)["run"] in viewer.get(page).content.decode()


def test_signals_that_nobody_took_can_be_picked_out(viewer: Client) -> None:
    run()
    Signal.objects.create(name="lonely", correlation="x")
    html = viewer.get(f"{PAGES['signal']}?taken_at__isempty=1").content.decode()
    assert "lonely" in html
    assert "1 signal" in html
    assert "no step yet" in html


def test_a_payload_is_redacted_for_those_who_may_not_reveal_it(viewer: Client) -> None:
    made = run()
    Signal.objects.update(payload={"iban": "DE00 1234", "amount": 4711})
    page = pages_of(made)["signal"]
    seen = viewer.get(page).content.decode()
    assert "DE00" not in seen
    assert "4711" in seen
    viewer.force_login(User.objects.create_superuser("root"))
    assert "DE00" in viewer.get(page).content.decode()


def test_what_a_sender_wrote_steers_no_screen(viewer: Client) -> None:
    made = run()
    Signal.objects.update(name="\u202eevil", correlation="\x07<b>", deduplication_id="\u2066x")
    for page in (PAGES["signal"], pages_of(made)["signal"]):
        seen = viewer.get(page).content.decode().partition('id="content')[2]
        assert "<bdi>\ufffdevil</bdi>" in seen
        assert not set("\u202e\x07\u2066") & set(seen)
