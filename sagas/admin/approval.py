"""Requests for a second person's consent: what was asked for, and the decision."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from sagas import record
from sagas.admin.badge import badge
from sagas.admin.history import HistoryAdmin, run_link
from sagas.admin.outlook import foreseen, told
from sagas.admin.shown import as_line, line, shown
from sagas.define.outlook import Outlook
from sagas.errors import SagaError
from sagas.models import Approval, ApprovalStatus, Run
from sagas.operate import reveal
from sagas.operate.approval import approve, decline, may_decide, withdraw
from sagas.operate.asker import Shell, unverified
from sagas.operate.catalogue import VERBS, verb_of
from sagas.wording import clock, stamp

_GLYPHS = {
    ApprovalStatus.OPEN: "◷",
    ApprovalStatus.APPROVED: "✓",
    ApprovalStatus.DECLINED: "✕",
    ApprovalStatus.WITHDRAWN: "↩",
    ApprovalStatus.FAILED: "!",
}


class DecisionForm(forms.Form):
    """What the one who decides has to say."""

    note = forms.CharField(
        label="Note",
        required=False,
        max_length=1000,
        help_text="To decline, say why.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )


@admin.register(Approval)
class ApprovalAdmin(HistoryAdmin):
    """Requests, the newest first."""

    saga_field = "saga"
    list_display = ("what", "state", "run_page", "of_saga", "asker", "asked", "because")
    list_filter = ("status",)
    ordering = ("-id",)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A request with what it would do, and the decision."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked: Approval | None = self.get_object(request, object_id)
        if asked is None:
            messages.warning(request, f"There is no request {line(object_id)}.")
            return redirect("admin:sagas_approval_changelist")
        form = DecisionForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            self._decide(request, asked, form.cleaned_data["note"])
            return redirect("admin:sagas_approval_change", asked.pk)
        after = _foreseen(asked)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Request {asked.pk}: {_label(asked)}",
            "facts": _facts(request, asked),
            "form": form if (buttons := _buttons(request, asked, after)) else None,
            "buttons": buttons,
            "outlook": told(after) if after is not None else None,
            "danger": "approve" if (kind := VERBS.get(asked.verb)) and kind.final else "",
        }
        return TemplateResponse(request, "admin/sagas/decide.html", context)

    @admin.display(description="what")
    def what(self, asked: Approval) -> str:
        return _label(asked)

    @admin.display(description="state")
    def state(self, asked: Approval) -> str:
        return _state(asked)

    @admin.display(description="on")
    def run_page(self, asked: Approval) -> SafeString:
        return shown(asked.subject) if asked.run is None else run_link(asked.run, asked.run)

    @admin.display(description="saga")
    def of_saga(self, asked: Approval) -> str:
        return line(asked.saga or "several")

    @admin.display(description="asked by")
    def asker(self, asked: Approval) -> str:
        return line(_who(asked))

    @admin.display(description="asked at (UTC)")
    def asked(self, asked: Approval) -> str:
        return stamp(asked.asked_at)

    @admin.display(description="because")
    def because(self, asked: Approval) -> str:
        return line(asked.reason)

    def _decide(self, request: HttpRequest, asked: Approval, note: str) -> None:
        user: Any = request.user
        try:
            if "approve" in request.POST:
                decided = approve(asked.pk, by=user, note=note)
            elif "decline" in request.POST:
                decided = decline(asked.pk, by=user, note=note)
            else:
                decided = withdraw(asked.pk, by=user)
        except (SagaError, PermissionDenied) as error:
            messages.error(request, str(error))
            return
        if decided.status == ApprovalStatus.FAILED:
            messages.error(request, f"You consented, but it was not done: {decided.note}")
        else:
            messages.success(request, f"Request {asked.pk} is {decided.status}.")


def _who(asked: Approval) -> str:
    known = not unverified(asked.asked_by)
    return asked.asked_by if known else f"{asked.asked_by} ({Shell.acts_through})"


def _label(asked: Approval) -> str:
    if asked.run is None:
        return line(f"{asked.verb.capitalize()} {asked.subject}", 120)
    kind = VERBS.get(asked.verb)
    step = line(asked.arguments.get("step", ""), 100)
    return f"{kind.label if kind else line(asked.verb)} {step}".strip()


def _state(asked: Approval) -> str:
    return f"{_GLYPHS[ApprovalStatus(asked.status)]} {asked.status}"


def _foreseen(asked: Approval) -> Outlook | None:
    """What follows if one consents, as the run stands now; None: nobody can tell."""
    if asked.status != ApprovalStatus.OPEN or asked.run is None:
        return None
    try:
        return foreseen(verb_of(asked.verb, asked.arguments), record.read(asked.run))
    except SagaError:
        return None


def _buttons(request: HttpRequest, asked: Approval, after: Outlook | None) -> list[tuple[str, str]]:
    if asked.status != ApprovalStatus.OPEN:
        return []
    user: Any = request.user
    if asked.asked_by == user.get_username():
        return [("withdraw", "Withdraw it")]
    may = may_decide(user, asked)
    return [("approve", _consent(asked, after)), ("decline", "Decline")] if may else []


def _consent(asked: Approval, after: Outlook | None) -> str:
    """The button that carries it out, by what it does."""
    if after is None:
        return "Consent: do it now"
    step = str(asked.arguments.get("step", ""))
    return line(f"Consent: {VERBS[asked.verb].confirmed(step, after)}", 160)


_UNKNOWN = "Nothing: this code has no such verb."
_APART = {
    "hold": "It stops what is named: what is in flight finishes, nothing new begins.",
    "lift": "What the hold stopped goes on, staggered.",
    "batch": "Each of these runs is dealt with in turn; rules for its verb ask for each again.",
}


def _apart(asked: Approval) -> SafeString:
    """What is about no single run, with a link to its own page."""
    told = asked.arguments
    pages = {"lift": ("hold", told.get("hold")), "batch": ("batch", told.get("batch"))}
    name, pk = pages.get(asked.verb, ("", None))
    if pk is None:
        return shown(asked.subject)
    address = reverse(f"admin:sagas_{name}_change", args=[pk])
    return format_html('<a href="{}"><bdi>{}</bdi></a>', address, line(asked.subject, 200))


def _run(asked: Approval) -> SafeString:
    if asked.run is None:
        return _apart(asked)
    found = Run.objects.only("business_key", "title", "status").filter(pk=asked.run).first()
    if found is None:
        return format_html("{}, which is gone", shown(asked.run))
    link = run_link(asked.run, f"{asked.saga} {found.business_key}")
    name = format_html(" ({})", shown(found.title, 100)) if found.title else ""
    return format_html("{}{}, {}", link, name, badge(found.status))


_SAID = ("step", "batch", "hold", "kind", "target")  # in the title and the link


def _facts(request: HttpRequest, asked: Approval) -> list[tuple[str, object]]:
    kind = VERBS.get(asked.verb)
    step = str(asked.arguments.get("step", ""))
    about: dict[str, Any] = {"run": asked.run, "subject": asked.subject}
    holds = bool(reveal.DOCUMENTS & asked.arguments.keys())
    shows = holds and reveal.revealing(request.user, asked.saga, **about)
    told = reveal.told(asked.arguments, asked.saga, step, reveal=shows)
    told = {name: value for name, value in told.items() if name not in _SAID}
    facts: list[tuple[str, object]] = [
        ("State", _state(asked)),
        ("Run" if asked.run else "On", _run(asked)),
        ("What it does", kind.explained(step) if kind else _APART.get(asked.verb, _UNKNOWN)),
        ("Asked by", shown(f"{_who(asked)}, {clock(asked.asked_at)}")),
        ("Because", shown(asked.reason)),
    ]
    if asked.status == ApprovalStatus.OPEN and not _buttons(request, asked, None):
        facts.append(("Who decides", "Somebody else who may consent to it; you may not."))
    if told:
        facts.append(("With", shown(as_line(told))))
    if asked.decided_at is not None:
        decided = f"{asked.decided_by}, {clock(asked.decided_at)}"
        facts += [("Decided by", shown(decided)), ("Note", shown(asked.note or "none"))]
    return facts
