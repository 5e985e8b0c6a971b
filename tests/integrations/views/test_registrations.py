from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from integrations.sagas.customer_registration import Registration, customer_registration, key_of
from sagas.models import Run
from sagas.operate.access import Right
from tests.integrations.sagas.rig import fake_partners
from tests.sagas.views.callers import make_caller

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def partners() -> Iterator[None]:
    """Each is set up."""
    with fake_partners():
        yield


def sent(**changes: str) -> dict[str, str]:
    entries = {"name": "Ann Smith", "email": "ann@example.com", "submission": str(uuid4())}
    return {**entries, **changes}


def registered(client: Client, **changes: str) -> Run:
    form = sent(**changes)
    assert client.post("/sign-up/", form).status_code == 302
    return Run.objects.get(saga="customer-registration", business_key=key_of(form["submission"]))  # type: ignore[arg-type]


# --- signing up ------------------------------------------------------------------------------


def test_the_form_is_linked_from_the_shop(client: Client) -> None:
    assert reverse("shop:sign-up") in client.get("/").content.decode()


def test_who_signs_up_has_a_run_and_is_led_to_its_page(client: Client) -> None:
    form = sent()
    answer = client.post("/sign-up/", form)
    assert answer["Location"] == reverse("shop:registration", args=[form["submission"]])
    run = Run.objects.get()
    assert (run.saga, run.status) == ("customer-registration", "pending")
    payload = customer_registration.validated(run.payload)
    assert payload == Registration(
        registration_id=form["submission"], name="Ann Smith", email="ann@example.com"
    )


def test_a_form_that_is_sent_twice_registers_once(client: Client) -> None:
    form = sent()
    first, second = client.post("/sign-up/", form), client.post("/sign-up/", form)
    assert first["Location"] == second["Location"]
    assert Run.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_form_that_is_sent_many_times_at_once_registers_once() -> None:
    form = sent()

    def send(_: int) -> str:
        try:
            return Client().post("/sign-up/", form)["Location"]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        locations = set(threads.map(send, range(4)))
    assert len(locations) == 1
    assert Run.objects.count() == 1


def test_the_same_form_with_other_entries_changes_nothing_and_can_be_sent_anew(
    client: Client,
) -> None:
    form = sent()
    client.post("/sign-up/", form)
    answer = client.post("/sign-up/", {**form, "name": "Bob"})
    assert answer.status_code == 409
    page = answer.content.decode()
    assert reverse("shop:registration", args=[form["submission"]]) in page
    assert 'value="Bob"' in page
    assert f'value="{form["submission"]}"' not in page
    assert Run.objects.get().payload["name"] == "Ann Smith"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 101),
        ("name", "Ann\x07"),
        ("email", "nobody"),
        ("email", ""),
        ("email", f"{'x' * 250}@example.com"),
        ("submission", "none"),
        ("submission", ""),
    ],
)
def test_what_cannot_be_registered_is_said_and_nothing_is_lost(
    client: Client, field: str, value: str
) -> None:
    answer = client.post("/sign-up/", sent(**{field: value}))
    assert answer.status_code == 400
    page = answer.content.decode()
    assert "Please correct your entries" in page
    if field != "email":
        assert 'value="ann@example.com"' in page
    assert Run.objects.count() == 0


def test_what_somebody_enters_is_shown_as_it_stands(client: Client) -> None:
    answer = client.post("/sign-up/", sent(name="<script>alert(1)</script>", email="x"))
    page = answer.content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_only_reading_and_sending_is_possible(client: Client, method: str) -> None:
    assert getattr(client, method)("/sign-up/").status_code == 405


def test_a_form_from_elsewhere_registers_nobody() -> None:
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/sign-up/", sent()).status_code == 403
    assert Run.objects.count() == 0


def test_a_registration_that_is_started_by_the_api_has_the_same_page(client: Client) -> None:
    number = uuid4()
    payload = {"registration_id": str(number), "name": "Ann Smith", "email": "ann@example.com"}
    caller = make_caller(*Right)
    answer = caller.start(payload, key=key_of(number), saga="customer-registration")
    assert answer.status_code == 202
    page = client.get(reverse("shop:registration", args=[number])).content.decode()
    assert "We have your registration" in page


def test_the_api_takes_no_password(client: Client) -> None:
    payload = {"registration_id": str(uuid4()), "name": "Ann", "email": "a@b.example"}
    caller = make_caller(*Right)
    answer = caller.start({**payload, "password": "hunter2"}, saga="customer-registration")
    assert answer.status_code == 400
    assert "hunter2" not in answer.content.decode()
    assert Run.objects.count() == 0


# --- watching --------------------------------------------------------------------------------


def test_the_page_says_how_it_stands_and_nothing_that_was_entered(client: Client) -> None:
    run = registered(client)
    answer = client.get(reverse("shop:registration", args=[run.payload["registration_id"]]))
    page = answer.content.decode()
    assert "We have your registration" in page
    assert "Ann" not in page
    assert "ann@" not in page
    assert "noindex" in page
    assert answer["Cache-Control"] == "private, no-cache"


def test_no_page_holds_script_or_style_of_its_own(client: Client) -> None:
    run = registered(client)
    for address in (
        reverse("shop:sign-up"),
        reverse("shop:registration", args=[run.payload["registration_id"]]),
    ):
        answer = client.get(address)
        assert "unsafe-inline" not in answer["Content-Security-Policy"]
        page = answer.content.decode()
        assert "<style" not in page
        assert "style=" not in page
        assert "<script>" not in page


def test_what_changes_is_sent_when_it_has_changed_only(client: Client) -> None:
    run = registered(client)
    address = reverse("shop:registration-progress", args=[run.payload["registration_id"]])
    first = client.get(address)
    assert first.status_code == 200
    assert client.get(address, headers={"If-None-Match": first["ETag"]}).status_code == 304
    Run.objects.update(revision=run.revision + 1)
    later = client.get(address, headers={"If-None-Match": first["ETag"]})
    assert later.status_code == 200
    assert client.get(address, headers={"If-None-Match": later["ETag"]}).status_code == 304


@pytest.mark.parametrize("name", ["registration", "registration-progress"])
def test_a_registration_that_is_not_there_is_not_found(client: Client, name: str) -> None:
    assert client.get(reverse(f"shop:{name}", args=[uuid4()])).status_code == 404


def test_the_run_in_the_admin_leads_to_the_page() -> None:
    key = f"registration:{uuid4()}"
    assert customer_registration.about is not None
    assert customer_registration.about(key) == reverse("shop:registration", args=[key[13:]])
