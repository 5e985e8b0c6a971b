"""``manage.py sagas migrate``, as an operator meets it."""

from __future__ import annotations

import io
import json
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from sagas.api import start
from sagas.define import registry
from sagas.models import Approval, AuditEntry, Run
from tests.sagas.flows import Payload, flow, simple
from tests.sagas.stage import Known, carried, run_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


def said(*words: object) -> str:
    out = io.StringIO()
    call_command("sagas", "migrate", *map(str, words), stdout=out)
    return out.getvalue().strip()


def ran(*words: object) -> tuple[str, str]:
    """What it printed before it failed, and the error."""
    out = io.StringIO()
    with pytest.raises(CommandError) as error:
        call_command("sagas", "migrate", *map(str, words), stdout=out)
    return out.getvalue().strip(), str(error.value)


@pytest.fixture
def runs(known: Known) -> list[UUID]:
    """Two runs that have done a, one that has done a and b, and one of another saga."""
    old = known(flow(["a", simple("b", queue="other"), simple("c", queue="third")]))
    known(other := flow(["a"], name="other"))
    ids = [start(old, Payload(), key=f"order:{n}").id for n in range(3)]
    for run_id in ids:
        carried(run_id, "a")
    carried(ids[2], "b")
    start(other, Payload(), key="other")
    known(flow(["a", "x", simple("c", queue="third")], version=2))
    return ids


def test_a_dry_run_says_what_would_change_and_changes_nothing(runs: list[UUID]) -> None:
    out, error = ran("--all", "--saga", "flow", "--to", 2, "--dry-run")
    assert out.splitlines() == [
        f"{runs[0]} (order:0) version 1 to 2: added x; removed b",
        f"{runs[1]} (order:1) version 1 to 2: added x; removed b",
        f"{runs[2]} (order:2) stays: step 'b' has happened, and is gone",
    ]
    assert error == "2 of 3 runs can move to version 2. The others stay as they were."
    assert set(Run.objects.values_list("version", flat=True)) == {1}
    assert not AuditEntry.objects.exists()


def test_a_run_is_moved_by_a_part_of_its_id(runs: list[UUID]) -> None:
    told = said(str(runs[0])[-8:], "--to", 2, "--reason", "release 7")
    assert told.splitlines()[-1] == "1 of 1 runs moved to version 2."
    assert run_of(runs[0]).version == 2
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.run, entry.reason) == ("migrate", runs[0], "release 7")


def test_all_that_can_are_moved_and_the_others_named(runs: list[UUID]) -> None:
    out, error = ran("--all", "--saga", "flow", "--to", 2, "--reason", "release 7")
    assert error == "2 of 3 runs moved to version 2. The others stay as they were."
    assert f"{runs[2]} (order:2) stays" in out
    versions = Run.objects.filter(pk__in=runs).order_by("id").values_list("version", flat=True)
    assert list(versions) == [2, 2, 1]
    out, _ = ran("--all", "--saga", "flow", "--to", 2, "--dry-run")
    assert len(out.splitlines()) == 1  # those that have moved are not asked about again


def test_it_gives_data(runs: list[UUID]) -> None:
    out, _ = ran("--all", "--saga", "flow", "--to", 2, "--dry-run", "--json")
    told: list[dict[str, Any]] = json.loads(out)
    assert [(one["run"], one["moves"]) for one in told] == [
        (str(runs[0]), True),
        (str(runs[1]), True),
        (str(runs[2]), False),
    ]
    assert told[0] | {"added": ["x"], "removed": ["b"], "from": 1, "to": 2} == told[0]
    assert told[2]["obstacles"] == ["step 'b' has happened, and is gone"]
    assert json.loads(said(runs[0], "--to", 2, "--json", "--reason", "why"))[0]["moves"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--to", 2, "--dry-run"), "Say which: a run, or --all"),
        (("--all", "--to", 2, "--dry-run"), "--all needs --saga NAME"),
        (("--all", "--saga", "flow", "--to", 3, "--dry-run"), "has no version 3; it has 1, 2"),
        (("--all", "--saga", "flow", "--to", 2), "Say why: --reason"),
        (("--all", "--saga", "flaw", "--to", 2, "--dry-run"), "Did you mean 'flow'?"),
    ],
)
def test_what_is_said_by_half_is_refused_with_the_cure(
    runs: list[UUID], words: tuple[object, ...], says: str
) -> None:
    assert says in ran(*words)[1]


def test_a_run_of_other_code_is_moved_within_its_version(runs: list[UUID]) -> None:
    with registry.isolated():
        registry._sagas["flow"] = {1: flow(["a", "x", "c"])}
        said(runs[0], "--to", 1, "--reason", "the steps were changed in place")
        assert run_of(runs[0]).fingerprint == registry.get("flow").fingerprint


@override_settings(SAGAS={"FOUR_EYES": {"*": ["migrate"]}})
def test_where_a_second_person_must_consent_it_is_asked_for(runs: list[UUID]) -> None:
    out = said(runs[0], "--to", 2, "--reason", "release 7")
    assert "waits for a second person's consent" in out
    assert (Approval.objects.get().arguments, run_of(runs[0]).version) == ({"to": 2}, 1)
