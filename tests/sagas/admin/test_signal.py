from __future__ import annotations

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
