"""How the list of runs is narrowed: each filter is one parameter of the address, a deep link."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar, NamedTuple

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from sagas.admin.shown import encoded, line
from sagas.define import registry
from sagas.errors import SagaError
from sagas.models import Run
from sagas.operate.access import Right, scope, within
from sagas.operate.groups import ErrorGroup, error_groups
from sagas.operate.held import UNFINISHED, at_step, held, standing_where
from sagas.operate.moments import SLACK, least_id
from sagas.operate.outage import named, standing_at
from sagas.operate.selection import NOTABLE, of_error_group, with_tag
from sagas.operate.stuck import stuck
from sagas.states import RunStatus
from sagas.wording import words

Rows = QuerySet[Run]
_LONGEST = 300


class Unfit(Exception):
    """A filter's value means nothing; the message says so."""


class Choice(NamedTuple):
    """One value that a filter offers, and how it reads."""

    value: str
    text: str

    @property
    def attribute(self) -> str:
        """The value as an attribute has it."""
        return encoded(self.value)


class RunFilter(admin.ListFilter):
    """One field of the form above the list.

    A value that means nothing matches no run, and ``problem`` says why: whoever acts on all that
    match must not act on everything because of a slip.
    """

    parameter: ClassVar[str]
    widget: ClassVar[str] = "select"  #: or a type of input
    hint: ClassVar[str] = ""

    def __init__(
        self, request: HttpRequest, params: dict[str, list[str]], model: type[Any], page: Any
    ) -> None:
        super().__init__(request, params, model, page)
        given = params.pop(self.parameter, [""])[-1]
        self.given = given.strip()
        self.problem = ""
        self.remark = ""  # what is odd about a value that may still be meant
        self.user: Any = request.user
        self.status = request.GET.get("status", "")

    def has_output(self) -> bool:
        return True  # else Django would not apply it

    def expected_parameters(self) -> list[str | None]:
        return [self.parameter]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """None of Django's own kind: the form shows what ``options`` offers."""
        return iter(())

    def options(self) -> Sequence[Choice]:
        """What is offered, without "any"."""
        return ()

    @property
    def offered(self) -> list[Choice]:
        """What the form offers: the given value too, be it one that is not usually offered."""
        options = list(self.options())
        if self.given and self.widget == "select" and self.given not in {o.value for o in options}:
            options.append(Choice(self.given, line(self.given)))
        return options

    @property
    def kind(self) -> str:
        """The type of the form's input."""
        return self.widget

    @property
    def attribute(self) -> str:
        """The given value as an attribute has it."""
        return encoded(self.given)

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        if not self.given:
            return queryset
        try:
            if len(self.given) > _LONGEST or "\0" in self.given:
                raise Unfit(f"That is no {self.title}.")
            return self.narrow(queryset, self.given)
        except Unfit as error:
            self.problem = str(error)
            return queryset.none()

    def narrow(self, rows: Rows, value: str) -> Rows:
        """Those rows that the value lets through.

        Raises:
            Unfit: it means nothing.
        """
        raise NotImplementedError


class SagaFilter(RunFilter):
    """By saga. Offered are those of the code; one whose code is gone is found by its name."""

    title = "saga"
    parameter = "saga"

    def options(self) -> list[Choice]:
        names = dict.fromkeys(saga.name for saga in registry.all_sagas())
        return [Choice(name, name) for name in names if within(self.user, Right.READ, name)]

    def narrow(self, rows: Rows, value: str) -> Rows:
        if value not in {option.value for option in self.options()}:
            self.remark = f"You can see no saga in the code that is named {value!r}."
        return rows.filter(saga=value)


class StateFilter(RunFilter):
    """By where runs stand, or by what keeps them."""

    title = "state"
    parameter = "status"

    def options(self) -> list[Choice]:
        return [Choice(s, words(s)) for s in _STATES]

    def narrow(self, rows: Rows, value: str) -> Rows:
        if value in _KEPT:
            return _KEPT[value](rows)
        if value not in _STATES:
            raise Unfit(f"There is no state {value!r}. States are: {', '.join(_STATES)}.")
        return rows.filter(status=value)


def _unfinished(rows: Rows) -> Rows:
    return rows.filter(UNFINISHED)


_KEPT = {"unfinished": _unfinished, "held": held, "stuck": stuck}
_STATES = (
    *(RunStatus.NEEDS_ATTENTION.value, *_KEPT),
    *(s.value for s in RunStatus if s is not RunStatus.NEEDS_ATTENTION),
)


class StepFilter(RunFilter):
    """By the step that runs stand at: whose turn it is, or which stopped them."""

    title = "step"
    parameter = "step"
    widget = "text"

    def options(self) -> list[Choice]:
        sagas = [s for s in registry.all_sagas() if within(self.user, Right.READ, s.name)]
        names = dict.fromkeys(name for saga in sagas for name in saga.steps)
        return [Choice(name, name) for name in names]

    def narrow(self, rows: Rows, value: str) -> Rows:
        return standing_where(rows, lambda s: Q(at_step(Q(name=value, status__in=s))))


class PartnerFilter(RunFilter):
    """By the partner that runs stand at: whose step's turn it is, or which stopped them."""

    title = "partner"
    parameter = "partner"

    def options(self) -> list[Choice]:
        sagas = [s for s in registry.all_sagas() if within(self.user, Right.READ, s.name)]
        steps = (step for saga in sagas for step in saga.steps.values())
        return [Choice(name, name) for name in sorted({s.partner for s in steps if s.partner})]

    def narrow(self, rows: Rows, value: str) -> Rows:
        try:
            return standing_at(rows, named(value))
        except SagaError as error:
            raise Unfit(str(error)) from None


class ErrorFilter(RunFilter):
    """By what stopped runs, in the words that are the same for all that it stopped."""

    title = "error group"
    parameter = "error_group"

    def options(self) -> list[Choice]:
        return [Choice(g.name, _told(g)) for g in self._groups() if g.name]

    def narrow(self, rows: Rows, value: str) -> Rows:
        return rows.filter(of_error_group(value))

    def _groups(self) -> list[ErrorGroup]:
        return error_groups(scope(self.user, Right.READ), counted=_COUNTED)


def _told(group: ErrorGroup) -> str:
    return f"{line(group.name, _SHOWN)} ({group.count})"


_SHOWN = 70
_COUNTED = 1_000  # for each view of the list; the page of errors counts more


class AgeFilter(RunFilter):
    """By how long ago runs were started, at least."""

    title = "age"
    parameter = "age"

    def options(self) -> list[Choice]:
        return [Choice(value, f"older than {text}") for value, (text, _) in _AGES.items()]

    def narrow(self, rows: Rows, value: str) -> Rows:
        if value not in _AGES:
            raise Unfit(f"There is no age {value!r}. Ages are: {', '.join(_AGES)}.")
        _, age = _AGES[value]
        newest = least_id(timezone.now() - age + SLACK)
        return rows.filter(id__lt=newest, created_at__lt=Now() - age)


_AGES = {
    "5m": ("5 minutes", timedelta(minutes=5)),
    "1h": ("1 hour", timedelta(hours=1)),
    "1d": ("1 day", timedelta(days=1)),
    "7d": ("7 days", timedelta(days=7)),
}


class MomentFilter(RunFilter):
    """By a day, or a day and a time, in the site's time zone."""

    widget = "date"

    @property
    def kind(self) -> str:
        return "datetime-local" if "T" in self.given else "date"

    def moment(self, value: str, at: time) -> datetime:
        """The moment that a value names; a mere day means that time of it.

        Raises:
            Unfit: it is no date.
        """
        try:
            day = parse_date(value)
            named = datetime.combine(day, at) if day else parse_datetime(value)
            if named is not None and _FIRST <= named.replace(tzinfo=UTC) <= _LAST:
                return timezone.make_aware(named) if timezone.is_naive(named) else named
        except ValueError:
            pass
        raise Unfit(f"{value!r} is no {self.title}: give a day such as 2026-01-31.")


# An id can name no other moment; and a step aside from the ends, zones cannot overflow.
_FIRST, _LAST = (datetime(year, 1, 2, tzinfo=UTC) for year in (1970, 9000))


class SinceFilter(MomentFilter):
    """By a time at which runs were started at the earliest."""

    title = "date since"
    parameter = "since"

    def narrow(self, rows: Rows, value: str) -> Rows:
        since = self.moment(value, time.min)
        return rows.filter(id__gte=least_id(since - SLACK), created_at__gte=since)


class UntilFilter(MomentFilter):
    """By a time at which runs were started at the latest; a day counts to its end."""

    title = "date until"
    parameter = "until"

    def narrow(self, rows: Rows, value: str) -> Rows:
        until = self.moment(value, time.max)
        return rows.filter(id__lt=least_id(until + SLACK), created_at__lte=until)


class TagFilter(RunFilter):
    """By a tag that runs were started with."""

    title = "tag"
    parameter = "tag"
    widget = "text"

    def narrow(self, rows: Rows, value: str) -> Rows:
        return rows.filter(with_tag(value))


class OwnerFilter(RunFilter):
    """By who looks after runs."""

    title = "owner"
    parameter = "owner"
    widget = "text"
    hint = "@me, @nobody or a name; of runs that did not succeed"

    def options(self) -> list[Choice]:
        return [Choice("@me", "mine"), Choice("@nobody", "nobody's")]

    def narrow(self, rows: Rows, value: str) -> Rows:
        if value == "@nobody":
            return rows.filter(owner="")
        owner = self.user.get_username() if value == "@me" else value
        if self.status != RunStatus.SUCCEEDED:  # unless these are asked for: they need nobody
            rows = rows.filter(NOTABLE)
        return rows.filter(owner=owner)


FILTERS: tuple[type[RunFilter], ...] = (
    *(StateFilter, SagaFilter, ErrorFilter, StepFilter, PartnerFilter, OwnerFilter),
    *(TagFilter, AgeFilter, SinceFilter, UntilFilter),
)
#: The parameters that narrow the list, besides the search.
PARAMETERS = tuple(f.parameter for f in FILTERS)


def probes(given: Mapping[str, str]) -> bool:
    """Whether these parameters look each run up among the steps, so that counting is dear."""
    by_step = given.get("step") or given.get("partner")
    return bool(by_step) or given.get("status") in ("held", "stuck")
