"""What the shop's sagas share: a form that starts a run, and a page on which it is watched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe

from integrations.forms import PayloadForm
from integrations.views.progress import Progress, Wording, progress_of
from sagas.api import BacklogFull, Door, KeyConflict, Saga, Throttled, start
from sagas.models import Run

Form = TypeVar("Form", bound=PayloadForm)


class SentBefore(Exception):
    """The same form was sent before, with other entries; what it started has that `number`."""

    def __init__(self, number: UUID) -> None:
        super().__init__(number)
        self.number = number


@dataclass(frozen=True)
class CustomerPages(Generic[Form]):
    """A saga's pages in the shop. A run's number is in its addresses and in its business key.

    The page of a run is named `route`, and the part of it that changes `route`-progress. Where
    there is a `door`, it says how often strangers may start one.
    """

    saga: Saga
    key_of: Callable[[UUID], str]
    route: str
    form: type[Form]
    wording: Wording
    template: str = "integrations/watched.html"
    door: Door | None = None

    def begin(self, form: Form) -> tuple[UUID, bool]:
        """Start what the form asks for, once; return its number, and whether it is new.

        Raises:
            SentBefore: the form was sent before, with other entries.
        """
        number: UUID = form.cleaned_data["submission"]
        try:
            started = start(self.saga, form.payload, key=self.key_of(number))
        except KeyConflict:
            raise SentBefore(number) from None
        return number, started.created

    def about(self, number: UUID) -> Mapping[str, Any]:
        """What the page says besides how the run stands: nothing that was entered."""
        return {}

    def form_page(self, request: HttpRequest) -> HttpResponse:
        """Show the form; take a filled-in one, start its run and lead to its page."""
        if request.method != "POST":
            return self._form(request, self.form())
        form = self.form(request.POST)
        if not form.is_valid():
            return self._form(request, form, status=400)
        try:
            return redirect(self.route, self._begin(request, form))
        except SentBefore as before:
            earlier = reverse(self.route, args=[before.number])
            return self._form(request, form.again(), status=409, earlier=earlier)
        except Throttled as refusal:
            return self._later(request, form, 429, str(refusal), refusal.retry_after)
        except BacklogFull as refusal:
            return self._later(request, form, 503, _BUSY, refusal.retry_after)

    @method_decorator(require_safe)
    def page(self, request: HttpRequest, number: UUID) -> HttpResponse:
        """How a run stands, for whoever has the link."""
        about = self.about(number)
        run = self._run_of(number)
        context = {
            **about,
            "number": number,
            "page_url": reverse(self.route, args=[number]),
            "progress_url": reverse(f"{self.route}-progress", args=[number]),
            "etag": _etag(run),
            "progress": self._progress(run),
        }
        return _current(render(request, self.template, context))

    @method_decorator(require_safe)
    def progress(self, request: HttpRequest, number: UUID) -> HttpResponse:
        """How a run stands, as the part of its page that changes; 304 while it has not."""
        run = self._run_of(number)
        unchanged = get_conditional_response(request, etag=_etag(run))
        if unchanged is not None:
            return _current(unchanged)
        context = {"progress": self._progress(run)}
        response = render(request, "integrations/progress.html", context)
        response["ETag"] = _etag(run)
        return _current(response)

    def _begin(self, request: HttpRequest, form: Form) -> UUID:
        """Start what the form asks for. Who sends it again starts nothing, and is not counted."""
        if self.door is None:
            return self.begin(form)[0]
        mail = form.cleaned_data["email"]
        try:
            self.door.look(request, mail)
        except Throttled:
            if not self._runs(form.cleaned_data["submission"]).exists():
                raise
        with transaction.atomic():
            number, new = self.begin(form)
            if new:
                self.door.enter(request, mail)
        return number

    def _later(
        self, request: HttpRequest, form: Form, status: int, why: str, seconds: int
    ) -> HttpResponse:
        """The form as it was filled in, and when to send it again."""
        response = self._form(request, form, status=status, why=why)
        response["Retry-After"] = str(seconds)
        return response

    def _form(
        self,
        request: HttpRequest,
        form: Form,
        *,
        status: int = 200,
        earlier: str = "",
        why: str = "",
    ) -> HttpResponse:
        context = {"form": form, "words": self.wording.form, "earlier": earlier, "why": why}
        return render(request, "integrations/form.html", context, status=status)

    def _run_of(self, number: UUID) -> Run:
        return get_object_or_404(self._runs(number))

    def _runs(self, number: UUID) -> QuerySet[Run]:
        return Run.objects.filter(saga=self.saga.name, business_key=self.key_of(number))

    def _progress(self, run: Run) -> Progress:
        return progress_of(run, list(run.steps.all()), self.wording)


def _etag(run: Run) -> str:
    return f'"{run.pk.hex}-{run.revision}"'


_BUSY = "More is asked for than we can take up at present. Try again in a minute."


def _current(response: HttpResponse) -> HttpResponse:
    """Let browsers keep it, but ask each time."""
    patch_cache_control(response, private=True, no_cache=True)
    return response
