from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from integrations.models import Order
from integrations.views import leads, orders, registrations
from integrations.views.pages import CustomerPages
from sagas.models import Run
from tests.integrations.sagas.leads import PROMISING, fake_crms
from tests.integrations.sagas.rig import fake_partners
from tests.integrations.test_forms import FILLED_IN

pytestmark = pytest.mark.django_db


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One saga of the shop: its pages, what is entered, and what is expected of them."""

    pages: CustomerPages[Any]
    address: str
    key: str
    headline: str
    """Of a run that was just started."""
    entries: Mapping[str, str]
    other: tuple[str, str]
    """An entry that the same form may be sent with another time."""
    wrong: tuple[tuple[str, str], ...]
    """Entries that are refused."""
    longest: str
    """The field that takes any text."""
    kept: str
    """The field that shows what was entered when another one is refused."""
    private: tuple[str, ...]
    """What was entered and is not shown to whoever has the link."""
    payload: Callable[[UUID], dict[str, Any]]
    """What the saga is given, by the run's number."""
    number: Callable[[str], UUID]
    """The number of the run that a form started, by its submission."""
    models: tuple[type[Model], ...] = (Run,)
    """That of which a form makes one row each."""
    statements: tuple[int, int] = (2, 2)  # a savepoint, where the tests have a transaction open
    """Of Django's: to send a form, and to show the page. The engine's own are not in its log."""

    def __str__(self) -> str:
        return self.pages.route

    def form(self, **changes: str) -> dict[str, str]:
        return {**self.entries, "submission": str(uuid4()), **changes}

    def send(self, client: Client) -> UUID:
        """Send a form, and return its run's number."""
        form = self.form()
        assert client.post(self.address, form).status_code == 302
        return self.number(form["submission"])

    def page(self, number: UUID) -> str:
        return reverse(self.pages.route, args=[number])

    def progress(self, number: UUID) -> str:
        return reverse(f"{self.pages.route}-progress", args=[number])

    def rows(self) -> set[int]:
        """How many there are of each of the models."""
        return {model._default_manager.count() for model in self.models}


ORDER = Flow(
    pages=orders.PAGES,
    address="/",
    key="order:",
    headline="We have your order",
    entries=FILLED_IN,
    other=("quantity", "3"),
    wrong=(("email", "nobody"), ("quantity", "0"), ("sku", "x"), ("address", "")),
    longest="address",
    kept="email",
    private=("ann@example.com", "1 Main Street", "pm_card"),
    payload=lambda number: {
        **FILLED_IN,
        "order_id": number,
        "quantity": 2,
        "amount": 2900,
        "currency": "eur",
    },
    number=lambda submission: Order.objects.get(submission=submission).pk,
    models=(Run, Order),
    # Is it known? Write it; four words on savepoints. And the order itself for its page.
    statements=(6, 3),
)
REGISTRATION = Flow(
    pages=registrations.PAGES,
    address="/sign-up/",
    key="registration:",
    headline="We have your registration",
    entries={"name": "Ann Smith", "email": "ann@example.com"},
    other=("name", "Bob"),
    wrong=(
        ("name", ""),
        ("name", "x" * 101),
        ("name", "Ann\x07"),
        ("email", "nobody"),
        ("email", ""),
        ("email", f"{'x' * 250}@example.com"),
    ),
    longest="name",
    kept="email",
    private=("Ann", "ann@"),
    payload=lambda number: {
        "registration_id": number,
        "name": "Ann Smith",
        "email": "ann@example.com",
    },
    number=UUID,
)
LEAD = Flow(
    pages=leads.PAGES,
    address="/offers/",
    key="lead:",
    headline="We have your request",
    entries={name: str(value) for name, value in PROMISING},
    other=("company", "Ray"),
    wrong=(
        ("name", ""),
        ("name", "x" * 101),
        ("email", "ann@localhost"),  # Django takes it, the saga does not
        ("company", " "),
        ("company", "Lee\x00"),
        ("employees", "0"),
        ("employees", "many"),
        ("budget", "-1"),
        ("budget", "1000000001"),
    ),
    longest="company",
    kept="name",
    private=("Ann", "ann@", "Lee Ltd"),
    payload=lambda number: PROMISING.model_dump(),
    number=UUID,
)

FLOWS = (ORDER, REGISTRATION, LEAD)


@pytest.fixture(autouse=True)
def partners() -> Iterator[None]:
    """Each is set up."""
    with fake_partners(), fake_crms():
        yield


@pytest.fixture(params=FLOWS, ids=str)
def flow(request: pytest.FixtureRequest) -> Flow:
    found: Flow = request.param
    return found


def text_of(answer: Any) -> str:
    text: str = answer.content.decode()
    return text


# --- the form --------------------------------------------------------------------------------


def test_the_form_is_linked_from_the_shop_and_speaks_of_its_own(client: Client, flow: Flow) -> None:
    assert f'href="{flow.address}"' in text_of(client.get("/"))
    page, words = text_of(client.get(flow.address)), flow.pages.wording.form
    assert f"<title>{words.title} · Demo shop</title>" in page
    assert f"<h1>{words.title}</h1>" in page
    assert f'<button type="submit">{words.button}</button>' in page
    assert "autofocus" not in page


def test_a_filled_in_form_has_a_run_and_leads_to_its_page(client: Client, flow: Flow) -> None:
    form = flow.form()
    answer = client.post(flow.address, form)
    number = flow.number(form["submission"])
    assert answer["Location"] == flow.page(number)
    run = Run.objects.get()
    assert (run.saga, run.business_key) == (flow.pages.saga.name, f"{flow.key}{number}")
    assert run.status == "pending"
    assert flow.pages.saga.validated(run.payload).model_dump() == flow.payload(number)


def test_a_form_that_is_sent_twice_starts_one_run(client: Client, flow: Flow) -> None:
    form = flow.form()
    first, second = client.post(flow.address, form), client.post(flow.address, form)
    assert first["Location"] == second["Location"]
    assert flow.rows() == {1}


@pytest.mark.django_db(transaction=True)
def test_a_form_that_is_sent_many_times_at_once_starts_one_run(flow: Flow) -> None:
    form = flow.form()

    def send(_: int) -> str:
        try:
            return Client().post(flow.address, form)["Location"]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        locations = set(threads.map(send, range(4)))
    assert len(locations) == 1
    assert flow.rows() == {1}


def test_the_same_form_with_other_entries_changes_nothing_and_can_be_sent_anew(
    client: Client, flow: Flow
) -> None:
    form, (field, value) = flow.form(), flow.other
    first = client.post(flow.address, form)["Location"]
    kept = Run.objects.get().payload
    answer = client.post(flow.address, {**form, field: value})
    assert answer.status_code == 409
    page, words = text_of(answer), flow.pages.wording.form
    assert f"<h2>{words.sent_before}</h2>" in page
    assert page.count("autofocus") == 1
    assert f'<a href="{first}">{words.earlier}</a>' in page
    assert f"If you send it again, {words.once_more}." in page
    assert f'value="{value}"' in page
    assert form["submission"] not in page.replace(first, "")
    assert Run.objects.get().payload == kept
    anew = re.search(r'name="submission" value="([^"]+)"', page)
    assert anew is not None
    again = client.post(flow.address, {**form, field: value, "submission": anew[1]})
    assert again["Location"] != first
    assert flow.rows() == {2}


@pytest.mark.parametrize(
    ("flow", "field", "value"),
    [(flow, *entry) for flow in FLOWS for entry in flow.wrong],
    ids=str,
)
def test_a_wrong_entry_is_refused_beside_its_field_and_nothing_is_lost(
    client: Client, flow: Flow, field: str, value: str
) -> None:
    answer = client.post(flow.address, flow.form(**{field: value}))
    assert answer.status_code == 400
    page, words = text_of(answer), flow.pages.wording.form
    assert f"<title>{words.correct} · Demo shop</title>" in page
    assert f"<h2>{words.correct}</h2>" in page
    assert page.count("autofocus") == 1
    assert f'aria-describedby="id_{field}' in page
    assert f'href="#id_{field}"' in page
    if field != flow.kept:
        assert f'value="{flow.entries[flow.kept]}"' in page
    assert flow.rows() == {0}


@pytest.mark.parametrize("submission", ["none", ""])
def test_a_form_without_a_number_of_its_own_is_to_be_loaded_anew(
    client: Client, flow: Flow, submission: str
) -> None:
    answer = client.post(flow.address, flow.form(submission=submission))
    assert answer.status_code == 400
    page = text_of(answer)
    assert flow.pages.wording.form.correct in page
    assert "Please load this page anew." in page
    assert f'value="{flow.entries[flow.kept]}"' in page
    assert flow.rows() == {0}


def test_what_was_entered_is_shown_as_it_stands_and_cannot_become_markup(
    client: Client, flow: Flow
) -> None:
    entered = {flow.longest: "<script>alert(1)</script>", "email": "?"}
    page = text_of(client.post(flow.address, flow.form(**entered)))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_only_reading_and_sending_is_possible(client: Client, flow: Flow, method: str) -> None:
    assert getattr(client, method)(flow.address).status_code == 405


def test_a_form_from_elsewhere_is_refused(flow: Flow) -> None:
    answer = Client(enforce_csrf_checks=True).post(flow.address, flow.form())
    assert answer.status_code == 403
    assert "Nothing was done." in text_of(answer)
    assert flow.rows() == {0}


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/admin/login/", "/sign-up/", "/offers/"])
def test_who_sends_a_form_from_elsewhere_is_told_of_no_order_that_was_none(address: str) -> None:
    answer = Client(enforce_csrf_checks=True).post(address, {})
    assert answer.status_code == 403
    assert "order" not in text_of(answer).partition("<main")[2].lower()


def test_no_form_is_kept_by_a_browser(client: Client, flow: Flow) -> None:
    assert "no-store" in client.get(flow.address)["Cache-Control"]


# --- watching --------------------------------------------------------------------------------


def test_the_page_says_how_it_stands_and_nothing_of_what_lies_behind(
    client: Client, flow: Flow
) -> None:
    number = flow.send(client)
    run = Run.objects.get()
    run.steps.update(error="PartnerUnknown: payments pi_123", worker="host/1")
    answer = client.get(flow.page(number))
    page = text_of(answer)
    assert f"<h1>{flow.headline}</h1>" in page
    assert f'<dd class="number">{number}</dd>' in page
    assert f'data-url="{flow.progress(number)}"' in page
    for hidden in ("pi_123", "host/1", str(run.pk), *flow.private):
        assert hidden not in page
    assert "noindex" in page
    assert answer["Cache-Control"] == "private, no-cache"


def test_what_was_never_started_is_not_found(client: Client, flow: Flow) -> None:
    flow.send(client)
    for address in (flow.page(uuid4()), flow.progress(uuid4())):
        answer = client.get(address)
        assert answer.status_code == 404
        assert "There is nothing here" in text_of(answer)


def test_what_changes_is_sent_only_when_it_has_changed(client: Client, flow: Flow) -> None:
    number = flow.send(client)
    found = re.search(r'data-etag="&quot;([^&]+)&quot;"', text_of(client.get(flow.page(number))))
    assert found is not None
    known, address = {"If-None-Match": f'"{found[1]}"'}, flow.progress(number)
    assert client.get(address).headers["ETag"] == known["If-None-Match"]
    unchanged = client.get(address, headers=known)
    assert (unchanged.status_code, unchanged["Cache-Control"]) == (304, "private, no-cache")
    Run.objects.update(revision=7)
    changed = client.get(address, headers=known)
    assert (changed.status_code, changed["Cache-Control"]) == (200, "private, no-cache")
    assert client.get(address, headers={"If-None-Match": changed["ETag"]}).status_code == 304


def test_what_is_over_is_asked_about_no_more(client: Client, flow: Flow) -> None:
    number = flow.send(client)
    running = text_of(client.get(flow.page(number)))
    assert "progress.js" in running
    assert "Refresh this page" in running
    Run.objects.update(status="succeeded", finished_at="2026-01-01T00:00Z")
    finished = text_of(client.get(flow.page(number)))
    assert "progress.js" not in finished
    assert "Refresh this page" not in finished
    assert "data-final" in text_of(client.get(flow.progress(number)))


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_who_watches_changes_nothing(client: Client, flow: Flow, method: str) -> None:
    number = flow.send(client)
    for address in (flow.page(number), flow.progress(number)):
        assert getattr(client, method)(address).status_code == 405


def test_the_run_in_the_admin_leads_to_the_page(flow: Flow) -> None:
    number, about = uuid4(), flow.pages.saga.about
    assert about is not None
    assert about(flow.pages.key_of(number)) == flow.page(number)


# --- all pages -------------------------------------------------------------------------------


def test_each_page_takes_a_fixed_number_of_statements(
    client: Client, flow: Flow, django_assert_num_queries: Any
) -> None:
    sending, showing = flow.statements
    with django_assert_num_queries(0):
        client.get(flow.address)
    form = flow.form()
    with django_assert_num_queries(sending):
        client.post(flow.address, form)
    number = flow.number(form["submission"])
    with django_assert_num_queries(showing):
        client.get(flow.page(number))
    address = flow.progress(number)
    with django_assert_num_queries(2):  # run, steps
        etag = client.get(address)["ETag"]
    with django_assert_num_queries(1):  # run
        client.get(address, headers={"If-None-Match": etag})


class _Inline(HTMLParser):
    """Collects what `default-src 'self'` would block."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in given):
            self.found.append(tag)
        self.found += [name for name in given if name == "style" or name.startswith("on")]
        for name in ("src", "href"):
            if (given.get(name) or "").startswith(("http", "//", "data:")):
                self.found.append(f"{name}={given[name]}")


def needs_the_sites_own_files_only(answer: Any) -> bool:
    """Whether the browser is told to refuse others, and nothing on the page would be refused."""
    policy = answer["Content-Security-Policy"]
    parser = _Inline()
    parser.feed(text_of(answer))
    return "default-src 'self'" in policy and "unsafe-inline" not in policy and not parser.found


def test_no_page_needs_more_than_the_sites_own_files(admin_client: Client, flow: Flow) -> None:
    number = flow.send(admin_client)
    form, (field, value) = flow.form(), flow.other
    admin_client.post(flow.address, form)
    answers = {
        "form": admin_client.get(flow.address),
        "refused": admin_client.post(flow.address, flow.form(email="?")),
        "sent before": admin_client.post(flow.address, {**form, field: value}),
        "page": admin_client.get(flow.page(number)),
        "progress": admin_client.get(flow.progress(number)),
        "not found": admin_client.get(flow.page(uuid4())),
        "from elsewhere": Client(enforce_csrf_checks=True).post(flow.address, flow.form()),
    }
    assert [name for name in answers if not needs_the_sites_own_files_only(answers[name])] == []
