"""Acting on all runs that match the list's filter: the page that tries a verb out."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from sagas.models import Batch, Run, Scope
from sagas.operate.access import Right
from sagas.operate.catalogue import VERBS
from tests.sagas.operate.batches import found, operator, saga_of, stopped
from tests.sagas.stage import Actor, Known, begun, status
from tests.sagas.statements import counted

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]

PAGE = "/admin/sagas/run/bulk/"
TOLD = {"reason": "restocked", "rate": "50", "step": ""}


@pytest.fixture
def runs(known: Known) -> None:
    """Two runs that need a person, and two that do not."""
    saga = saga_of(known, Actor())
    stopped(saga, 2)
    for number in range(2):
        begun(saga, key=f"new:{number}")


@pytest.fixture
def ann(client: Client, db: None) -> Client:
    client.force_login(operator())
    return client


def tried(client: Client, query: str, **more: str) -> Any:
    return client.post(f"{PAGE}?{query}", {**TOLD, **more})


@pytest.mark.usefixtures("runs")
def test_the_page_says_how_many_match_and_offers_every_verb(ann: Client) -> None:
    page = ann.get(f"{PAGE}?status=needs_attention").content.decode()
    assert "2 runs match" in page
    for name, kind in VERBS.items():
        assert f"?status=needs_attention&amp;verb={name}" in page
        assert kind.label in page
    assert '<form method="post" class' not in page


@pytest.mark.usefixtures("runs")
def test_a_trial_is_of_the_runs_that_match_and_of_no_others(ann: Client) -> None:
    answer = tried(ann, "status=needs_attention&verb=retry")
    batch = Batch.objects.get()
    assert (answer.status_code, answer.url) == (302, f"/admin/sagas/batch/{batch.pk}/change/")
    assert found(batch) == {"flow:0": "ready", "flow:1": "ready"}
    assert (batch.created_by, batch.reason, batch.rate) == ("ann", "restocked", 50)
    assert (batch.query, batch.arguments) == ("status=needs_attention", {})
    assert all(status(run.pk) != "running" for run in Run.objects.all())


@pytest.mark.usefixtures("runs")
def test_the_search_is_a_part_of_the_filter(ann: Client) -> None:
    tried(ann, "q=new:&verb=cancel")
    batch = Batch.objects.get()
    assert found(batch) == {"new:0": "ready", "new:1": "ready"}
    assert batch.query == "q=new%3A"


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("query", ["status=odd", "age=x", "odd=1", "stauts=needs_attention"])
def test_a_slip_in_the_filter_matches_nothing_and_is_told(ann: Client, query: str) -> None:
    answer = tried(ann, f"{query}&verb=retry")
    assert not Batch.objects.exists()
    assert "So nothing matches" in answer.content.decode()


@pytest.mark.usefixtures("runs")
def test_without_a_filter_the_page_warns(ann: Client) -> None:
    assert "this is about every run" in ann.get(PAGE).content.decode()


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("verb", "entered", "arguments"),
    [
        (
            "mark",
            {"happened": "true", "result": '{"id": 7}'},
            {"happened": True, "result": {"id": 7}},
        ),
        ("mark", {"happened": "false", "result": ""}, {"happened": False}),
        ("restart", {"step": "p", "again": "on"}, {"step": "p", "again": True}),
        ("assign", {"owner": ""}, {"owner": ""}),
        ("compensate", {}, {}),
    ],
)
def test_a_verb_is_told_what_was_entered(
    ann: Client, verb: str, entered: dict[str, str], arguments: dict[str, Any]
) -> None:
    assert tried(ann, f"saga=flow&verb={verb}", **entered).status_code == 302
    assert Batch.objects.get().arguments == arguments


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"reason": " "}, "This field is required"),
        ({"rate": "0"}, "greater than or equal to 0.1"),
        ({"rate": "201"}, "less than or equal to 200"),
        ({"rate": "nan"}, "Enter a number"),
        ({"result": "{"}, "This is not JSON"),
        ({"happened": ""}, "This field is required"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(
    ann: Client, wrong: dict[str, str], message: str
) -> None:
    entered = {"happened": "true", "result": "", **wrong}
    answer = tried(ann, "saga=flow&verb=mark", **entered)
    assert (answer.status_code, Batch.objects.count()) == (400, 0)
    assert message in answer.content.decode()


def test_no_form_asks_for_an_input_that_would_be_the_same_for_all(ann: Client) -> None:
    page = ann.get(f"{PAGE}?verb=retry").content.decode()
    assert 'name="step"' in page
    assert "payload" not in page


@pytest.mark.parametrize("rights", [(Right.READ, Right.CHANGE), (Right.CHANGE, Right.BATCH)])
def test_the_page_is_for_those_who_may(client: Client, rights: tuple[Right, ...]) -> None:
    client.force_login(operator("eve", *rights))
    assert client.get(PAGE).status_code == 403
    assert tried(client, "verb=retry").status_code == 403


@pytest.mark.usefixtures("runs")
def test_runs_beyond_ones_scope_do_not_match(client: Client, known: Known) -> None:
    stopped(saga_of(known, Actor(), "other"), 1)
    group = Group.objects.create(name="only other")
    for right in (Right.READ, Right.CHANGE, Right.BATCH):
        group.permissions.add(Permission.objects.get(codename=right.split(".")[1]))
    Scope.objects.create(group=group, saga="other")
    bob = User.objects.create_user("bob", is_staff=True)
    bob.groups.add(group)
    client.force_login(bob)
    tried(client, "status=needs_attention&verb=retry")
    assert found(Batch.objects.get()) == {"other:0": "ready"}


@pytest.mark.usefixtures("runs")
def test_the_page_takes_few_statements(ann: Client) -> None:
    ann.get(f"{PAGE}?verb=retry")
    with counted() as statements:
        ann.get(f"{PAGE}?status=needs_attention&verb=retry")
    assert len(statements) <= 12, statements


@pytest.mark.usefixtures("runs")
def test_hostile_parameters_are_shown_harmlessly(ann: Client) -> None:
    hostile = "%3Cscript%3Ealert(1)%3C/script%3E%E2%80%AE%00"
    for name in ("verb", "q", "saga", "tag", "owner", "error_group", "p"):
        answer = ann.get(f"{PAGE}?{name}={hostile}", follow=True)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.content.decode()
