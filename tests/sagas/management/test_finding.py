"""Which run somebody means who acts at the command line."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from sagas.errors import SagaError, UnknownRun
from sagas.management.finding import find
from sagas.models import Run

pytestmark = pytest.mark.django_db

ID = UUID("01890000-0000-7000-8000-0000beefcafe")


def a_run(key: str, **values: Any) -> UUID:
    made = {"saga": "flow", "version": 1, "payload": {}, "status": "pending", **values}
    return Run.objects.create(business_key=key, **made).id


@pytest.mark.parametrize("term", [str(ID), str(ID).upper(), "01890000", "cafe", "beefCAFE"])
def test_a_run_is_meant_by_its_id_or_a_part_of_it(term: str) -> None:
    a_run("order:1", id=ID)
    assert find(term) == ID


@pytest.mark.parametrize("term", ["order:A-1042", "A-1042", "a-1042"])
def test_a_run_is_meant_by_its_key_or_the_number_in_it(term: str) -> None:
    wanted = a_run("order:A-1042")
    a_run("order:A-10421")
    assert find(term) == wanted


@pytest.mark.parametrize("term", ["order:A-104", "a-104", "order", "", " ", "a\x00", "z" * 36])
def test_a_beginning_of_a_key_means_no_run_for_it_would_be_acted_on(term: str) -> None:
    a_run("order:A-1042")
    with pytest.raises(UnknownRun, match="runs --search"):
        find(term)


def test_what_may_mean_several_runs_means_none() -> None:
    a_run("order:1042")
    a_run("refund:1042")
    a_run("order:cafe")
    a_run("order:1", id=ID)
    for term in ("1042", "cafe"):  # one is a key's, and the end of an id
        with pytest.raises(SagaError, match=f"More than one run has an id or a key like '{term}'"):
            find(term)
    assert find("order:cafe") != ID
