"""The page of a verb: what it will do, what it must be told, and what became of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from sagas import record
from sagas.admin.back import came_from, carried, list_of
from sagas.admin.badge import badge
from sagas.admin.outlook import foreseen, told
from sagas.admin.run_page.verbs import bars
from sagas.admin.shown import cleaned, line
from sagas.admin.verb_form import VerbForm
from sagas.define.outlook import Outlook
from sagas.define.preview import undo_preview
from sagas.define.saga import Definition
from sagas.define.title import titled
from sagas.define.view import RunView
from sagas.errors import PayloadInvalid, SagaError, UnknownRun, VerbRefused
from sagas.models import Run
from sagas.operate import reveal
from sagas.operate.access import Right, require
from sagas.operate.cancel import Cancel
from sagas.operate.catalogue import VERBS, Answer, carry_out
from sagas.operate.compensate import Compensate
from sagas.operate.offer import offers, refusal
from sagas.operate.restart import Restart
from sagas.operate.retry import CHANGE_INPUT
from sagas.operate.verb import Verb, definition, needs_approval, ruled
from sagas.wording import stands


class VerbPages(admin.ModelAdmin[Run]):
    """Adds a page for each verb to the admin of runs."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.do)
        return [
            path("<uuid:run_id>/do/<slug:name>/", view, name="sagas_run_do"),
            *super().get_urls(),
        ]

    def do(self, request: HttpRequest, run_id: UUID, name: str) -> HttpResponse:
        """Ask what the verb must be told; carry it out when that is sent."""
        page = _page(request, run_id)
        try:
            view = record.read(run_id)
            require(request.user, Right.CHANGE, view.saga)
            if name not in VERBS:
                raise VerbRefused(f"There is no verb {line(name)!r}.")
            return self._asked(request, VERBS[name], view)
        except UnknownRun as error:
            messages.error(request, str(error))
            return redirect(list_of(came_from(request)))
        except (SagaError, PermissionDenied) as error:
            what = _title(VERBS[name], request.GET.get("step", "")) if name in VERBS else "That"
            messages.error(request, f"{what} was refused: {error}")
        return redirect(page)

    def _asked(self, request: HttpRequest, kind: type[Verb], view: RunView) -> HttpResponse:
        saga = definition(kind.model_construct(), view)
        step = kind.target(view, request.GET.get("step", ""))
        revealed = reveal.revealing(request.user, view.saga, run=view.id)
        how: dict[str, Any] = {"step": step, "revealed": revealed}
        if request.method != "POST":
            return self._shown(request, VerbForm(kind, view, saga, request.user, **how), view, step)
        form = VerbForm(kind, view, saga, request.user, request.POST, **how)
        if not form.is_valid():
            return self._shown(request, form, view, step)
        try:
            answer = self._carried_out(request, form, view)
        except PayloadInvalid as error:
            form.refuse(error)
            return self._shown(request, form, view, step)
        messages.success(request, _told(kind, step, answer))
        return redirect(_page(request, view.id))

    def _carried_out(self, request: HttpRequest, form: VerbForm, view: RunView) -> Answer:
        entered = form.cleaned_data
        how = {"reason": entered["reason"], "seen": entered["seen"]}
        user: Any = request.user
        return carry_out(view.id, form.verb(), by=user, **how)

    def _shown(
        self, request: HttpRequest, form: VerbForm, view: RunView, step: str
    ) -> HttpResponse:
        kind, back = form.kind, came_from(request)
        why = refusal(kind, view, step) if step or kind is not Restart else ""
        after = _foreseen(kind, form.saga, view, step, why)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _title(kind, step),
            "verb": kind,
            "summary": kind.explained(step),
            "form": form,
            "run": view,
            "step": line(step, 100),
            "badge": badge(view.status),
            "row": (row := _row(view, step)),
            "row_badge": badge(row.status) if row is not None else "",
            "key": line(view.business_key),
            "name": cleaned(_name(view)),
            "page": _page(request, view.id),
            "back": back,
            "list": list_of(back),
            "attention": cleaned(view.attention, 800),
            "approval": needs_approval(kind.model_construct(), view.saga),
            "input_approval": ruled(CHANGE_INPUT, [view.saga]),
            "refusal": cleaned(why, 800),
            "bars": bars(view.id, offers(view), back) if why else [],
            "final": kind.final,
            "outlooks": [
                told(seen, way=way, place=place, refused=bool(why))
                for place, (way, seen) in enumerate(after, 1)
            ],
            "button": _title(kind, step) if why else _button(kind, step, after),
        }
        status = 400 if form.errors else 200
        return TemplateResponse(request, "admin/sagas/run/do.html", context, status=status)


def _name(view: RunView) -> str:
    """The run's title, which moves nothing and so is not in the view."""
    return Run.objects.filter(pk=view.id).values_list("title", flat=True).first() or ""


def _page(request: HttpRequest, run_id: UUID) -> str:
    return carried(reverse("admin:sagas_run_change", args=[run_id]), came_from(request))


def _told(kind: type[Verb], step: str, answer: Answer) -> str:
    what = _title(kind, step)
    if answer.status is None:
        return (
            f"{what}: a second person must consent. You have asked for it "
            f"(request {answer.approval})."
        )
    return f"{what}: done. The run {stands(answer.status)}."


def _title(kind: type[Verb], step: str) -> str:
    return f"{kind.label} {line(step, 100)}".strip()


def _row(view: RunView, step: str) -> Any:
    return next((row for row in view.steps.values() if titled(row) == step), None)


def _foreseen(
    kind: type[Verb], saga: Definition | None, view: RunView, step: str, refused: str
) -> list[tuple[str, Outlook]]:
    """How the run goes on then, by each way that is open; of what would be refused, how it stands.

    Empty: nobody can tell.
    """
    if not kind.foreseen:
        return []
    if refused:
        if saga is None or kind not in (Cancel, Compensate):
            return []
        return [("", Outlook(view.status, undo=undo_preview(saga, view)))]
    seen = ((way, foreseen(verb, view)) for way, verb in kind.ways(step, view))
    return [(way, outlook) for way, outlook in seen if outlook is not None]


def _button(kind: type[Verb], step: str, after: list[tuple[str, Outlook]]) -> str:
    only = [seen for way, seen in after if not way]
    return line(kind.confirmed(step, only[0]), 160) if only else _title(kind, step)
