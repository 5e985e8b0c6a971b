from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from integrations.sagas.lead_qualification import Inquiry, key_of, lead_qualification
from integrations.views.progress import progress_of
from integrations.views.wording import LEAD
from sagas.models import Run, Step
from sagas.states import Direction, RunStatus, StepStatus
from tests.integrations.sagas.leads import fake_crms

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def partners() -> Iterator[None]:
    """Each is set up."""
    with fake_crms():
        yield


ENTRIES = {
    "name": "Ann Lee",
    "email": "ann@lee.example",
    "company": "Lee Ltd",
    "employees": "500",
    "budget": "20000",
}


def sent(**changes: str) -> dict[str, str]:
    return {**ENTRIES, "submission": str(uuid4()), **changes}


@pytest.fixture
def run(client: Client) -> Run:
    assert client.post("/offers/", sent()).status_code == 302
    return Run.objects.get()


def page_of(run: Run, name: str = "lead") -> str:
    return reverse(f"shop:{name}", args=[run.business_key.removeprefix("lead:")])


# --- asking ----------------------------------------------------------------------------------


def test_the_form_is_linked_from_the_shop(client: Client) -> None:
    assert reverse("shop:offer") in client.get("/").content.decode()


def test_who_asks_has_a_run_and_is_led_to_its_page(client: Client) -> None:
    form = sent()
    answer = client.post("/offers/", form)
    assert answer["Location"] == reverse("shop:lead", args=[form["submission"]])
    run = Run.objects.get()
    assert (run.saga, run.status) == ("lead-qualification", "pending")
    assert run.business_key == f"lead:{form['submission']}"
    assert lead_qualification.validated(run.payload) == Inquiry.model_validate(
        {**ENTRIES, "employees": 500, "budget": 20_000}
    )


@pytest.mark.django_db(transaction=True)
def test_a_form_that_is_sent_many_times_at_once_asks_once() -> None:
    form = sent()

    def send(_: int) -> str:
        try:
            return Client().post("/offers/", form)["Location"]
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
    client.post("/offers/", form)
    answer = client.post("/offers/", {**form, "company": "Ray"})
    assert answer.status_code == 409
    page = answer.content.decode()
    assert reverse("shop:lead", args=[form["submission"]]) in page
    assert 'value="Ray"' in page
    assert f'value="{form["submission"]}"' not in page
    assert Run.objects.get().payload["company"] == "Lee Ltd"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 101),
        ("email", "ann@localhost"),  # Django takes it, the saga does not
        ("company", " "),
        ("company", "Lee\x00"),
        ("employees", "0"),
        ("employees", "many"),
        ("budget", "-1"),
        ("budget", "1000000001"),
        ("submission", ""),
    ],
)
def test_what_cannot_be_worked_on_is_said_and_nothing_is_lost(
    client: Client, field: str, value: str
) -> None:
    answer = client.post("/offers/", sent(**{field: value}))
    assert answer.status_code == 400
    page = answer.content.decode()
    assert "Please correct your entries" in page
    if field != "name":
        assert 'value="Ann Lee"' in page
    assert Run.objects.count() == 0


def test_what_somebody_enters_is_shown_as_it_stands(client: Client) -> None:
    page = client.post("/offers/", sent(name="<b>Ann</b>", email="x")).content.decode()
    assert "<b>Ann" not in page
    assert "&lt;b&gt;Ann" in page


def test_a_form_from_elsewhere_asks_for_nothing() -> None:
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/offers/", sent()).status_code == 403
    assert Run.objects.count() == 0


def test_a_lead_may_be_sent_by_the_api_too(admin_client: Client) -> None:
    payload = {**ENTRIES, "employees": 500, "budget": 20_000}
    key = key_of(uuid4())
    answer = admin_client.post(
        "/api/sagas/lead-qualification/runs",
        payload,
        content_type="application/json",
        headers={"Idempotency-Key": key},
    )
    assert answer.status_code == 202, answer.content
    assert Run.objects.get().business_key == key


# --- watching --------------------------------------------------------------------------------


def test_the_page_says_how_it_stands_and_nothing_that_was_entered(client: Client, run: Run) -> None:
    answer = client.get(page_of(run))
    page = answer.content.decode()
    assert "We have your request" in page
    for entered in ("Ann", "ann@", "Lee Ltd"):
        assert entered not in page
    assert "noindex" in page
    assert answer["Cache-Control"] == "private, no-cache"


def test_what_changes_is_sent_when_it_has_changed_only(client: Client, run: Run) -> None:
    address = page_of(run, "lead-progress")
    first = client.get(address)
    assert first.status_code == 200
    assert client.get(address, headers={"If-None-Match": first["ETag"]}).status_code == 304
    Run.objects.update(revision=run.revision + 1)
    later = client.get(address, headers={"If-None-Match": first["ETag"]})
    assert later.status_code == 200


@pytest.mark.parametrize("name", ["lead", "lead-progress"])
def test_a_request_that_is_not_there_is_not_found(client: Client, name: str) -> None:
    assert client.get(reverse(f"shop:{name}", args=[uuid4()])).status_code == 404


def test_the_run_in_the_admin_leads_to_the_page(run: Run) -> None:
    assert lead_qualification.about is not None
    assert lead_qualification.about(run.business_key) == page_of(run)


def test_each_step_has_words_and_the_way_not_gone_is_left_out() -> None:
    assert LEAD.steps.keys() == lead_qualification.steps.keys()
    for name, step in lead_qualification.steps.items():
        assert bool(LEAD.steps[name].undone) == (step.compensation is not None)
        assert LEAD.steps[name].conditional == (step.when is not None)
    rows = [
        Step(
            name=name,
            status=StepStatus.SKIPPED if name == "write_nurture_note" else StepStatus.SUCCEEDED,
            direction=Direction.FORWARD,
            position=position,
        )
        for position, name in enumerate(lead_qualification.steps)
    ]
    shown = progress_of(Run(status=RunStatus.SUCCEEDED), rows, LEAD)
    assert len(shown.lines) == len(rows) - 1
    assert not any("for later" in line.text for line in shown.lines)
