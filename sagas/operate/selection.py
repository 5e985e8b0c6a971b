"""Selection: which runs a batch is for, where no list with its filters says so."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.utils.http import urlencode
from pydantic import BaseModel, ConfigDict, Field

from sagas.define import registry
from sagas.errors import VerbRefused
from sagas.models import Run
from sagas.operate.access import visible
from sagas.operate.verb import Operator
from sagas.states import RunStatus

#: What the index ``sagas_run_notable`` has.
NOTABLE = ~Q(status=RunStatus.SUCCEEDED)


def with_tag(tag: str) -> Q:
    """The condition that a run has a tag. The index has only runs with any, so that is said too."""
    return Q(~Q(tags=[]), tags__contains=[tag])


def of_error_group(name: str) -> Q:
    """The condition that this stopped a run: one that succeeds forgets what had stopped it."""
    return Q(NOTABLE, error_group=name)


_TEXT = r"^[^\x00]*$"  # PostgreSQL has no NUL


class Selection(BaseModel):
    """Runs that fit all that is given; at least one thing must be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    saga: str | None = Field(None, max_length=80, pattern=_TEXT)
    status: RunStatus | None = None
    error_group: str | None = Field(
        None, max_length=200, pattern=_TEXT, description="what stopped them, exactly"
    )
    tag: str | None = Field(None, max_length=200, pattern=_TEXT)
    owner: str | None = Field(None, max_length=150, pattern=_TEXT, description="empty: nobody's")

    @property
    def query(self) -> str:
        """The same as the end of the address of the admin's list of runs."""
        given = self.model_dump(mode="json", exclude_none=True)
        owner = {"owner": given["owner"] or "@nobody"} if "owner" in given else {}
        return urlencode(given | owner)

    def runs(self, by: Operator) -> QuerySet[Run]:
        """Those that one may see.

        Raises:
            VerbRefused: nothing is given, which would mean all runs; or no saga has that name.
        """
        given = self.model_dump(mode="json", exclude_none=True)
        if not given:
            raise VerbRefused("Say which runs: give at least one part of the filter.")
        chosen = [with_tag(given.pop("tag"))] if "tag" in given else []
        chosen += [of_error_group(given.pop("error_group"))] if given.get("error_group") else []
        runs = visible(by, Run.objects.filter(*chosen, **given))
        _demand_saga(self.saga, runs)
        return runs


def _demand_saga(name: str | None, runs: QuerySet[Run]) -> None:
    """A slip of the pen must not pass for: nothing matches."""
    if name is None or any(saga.name == name for saga in registry.all_sagas()):
        return
    if not runs.exists():
        raise VerbRefused(f"There is no saga {name!r}, nor a run of one that was named so.")
