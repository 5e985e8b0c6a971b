"""Holds: what stands still, since when and why; placed and lifted here."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from sagas.admin.history import HistoryAdmin, run_link
from sagas.admin.inputs import reason_field
from sagas.admin.shown import line, shown
from sagas.conf import conf
from sagas.define import registry
from sagas.errors import SagaError
from sagas.models import Approval, Hold, HoldKind
from sagas.operate.access import Holder, Right
from sagas.operate.approval import told_of
from sagas.operate.held import visible_holds
from sagas.operate.hold import hold_or_ask, lift_or_ask, waiting_under
from sagas.operate.holding import partners
from sagas.run.queues import routed_queues
from sagas.wording import clock, stamp


class HoldForm(forms.Form):
    """What to stop, and why."""

    target = forms.ChoiceField(label="What")
    reason = reason_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["target"]
        assert isinstance(field, forms.ChoiceField), "as declared"
        field.choices = [
            (kind.title(), [(f"{kind}:{name}", name) for name in sorted(names)])
            for kind, names in _targets().items()
            if names
        ]


class LiftForm(forms.Form):
    """Why, and how fast what waits goes on."""

    per_second = forms.FloatField(
        label="Runs that go on in a second", min_value=0.1, max_value=10_000
    )
    reason = reason_field()


class StateFilter(admin.SimpleListFilter):
    """Those in force, or those that are history."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("in_force", "in force"), ("lifted", "lifted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Hold]) -> QuerySet[Hold]:
        if self.value() in ("in_force", "lifted"):
            return queryset.filter(lifted_at__isnull=self.value() == "in_force")
        return queryset


@admin.register(Hold)
class HoldAdmin(HistoryAdmin):
    """Holds, the newest first. One that was lifted is history."""

    list_display = ("what", "state", "by", "since", "because")
    list_filter = (StateFilter, "kind")
    search_fields = ("target",)
    search_help_text = "a part of a name, or a run's id"
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request) & visible_holds(request.user)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(Right.HOLD)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Place a hold."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = HoldForm(request.POST or None, initial={"target": request.GET.get("target")})
        if request.method == "POST" and form.is_valid():
            kind, _, name = form.cleaned_data["target"].partition(":")
            try:
                placed = hold_or_ask(
                    kind, name, by=_user(request), reason=form.cleaned_data["reason"]
                )
            except (SagaError, PermissionDenied) as error:
                form.add_error(None, str(error))
            else:
                if isinstance(placed, Approval):
                    messages.success(request, told_of(placed))
                    return redirect("admin:sagas_hold_changelist")
                messages.success(request, f"Held: {placed}. What is in flight finishes.")
                return redirect("admin:sagas_hold_change", placed.pk)
        context = {"title": "Hold a saga, a queue or a partner", "form": form, "button": "Hold"}
        return self._page(request, context, form)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A hold with what waits for it, and the form that lifts it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        placed: Hold | None = self.get_object(request, object_id)
        if placed is None:
            messages.warning(request, f"There is no hold {line(object_id)}.")
            return redirect("admin:sagas_hold_changelist")
        pace = placed.per_second or conf().DRAIN_PER_SECOND
        form = LiftForm(request.POST or None, initial={"per_second": pace})
        if request.method == "POST" and form.is_valid() and self._lifted(request, placed, form):
            return redirect("admin:sagas_hold_change", placed.pk)
        shown_form = form if placed.lifted_at is None and may_lift(request.user, placed) else None
        title = f"Hold on {placed.kind} {line(placed.target)}"
        context = {"title": title, "facts": _facts(placed), "form": shown_form, "button": "Lift"}
        return self._page(request, context, form)

    @admin.display(description="what")
    def what(self, placed: Hold) -> SafeString:
        return format_html("{} <bdi>{}</bdi>", placed.kind, line(placed.target))

    @admin.display(description="state")
    def state(self, placed: Hold) -> str:
        if placed.lifted_at is not None:
            return f"lifted by {placed.lifted_by}"
        if placed.ends_at is not None:
            return f"‖ in force until {stamp(placed.ends_at)}"
        return "‖ in force" if placed.probe is None else "‖ in force, lets one run through"

    @admin.display(description="by")
    def by(self, placed: Hold) -> str:
        return line(placed.placer)

    @admin.display(description="since (UTC)")
    def since(self, placed: Hold) -> str:
        return stamp(placed.placed_at)

    @admin.display(description="because")
    def because(self, placed: Hold) -> str:
        return line(placed.reason)

    def _lifted(self, request: HttpRequest, placed: Hold, form: LiftForm) -> bool:
        asked = form.cleaned_data
        how = {"reason": asked["reason"], "per_second": asked["per_second"]}
        try:
            woken = lift_or_ask(placed.pk, by=_user(request), **how)
        except (SagaError, PermissionDenied) as error:
            form.add_error(None, str(error))
            return False
        if isinstance(woken, Approval):
            messages.success(request, told_of(woken))
            return True
        seconds = woken / asked["per_second"]
        messages.success(request, f"Lifted: {woken:,} runs go on within {seconds:,.0f} s.")
        return True

    def _page(
        self, request: HttpRequest, more: dict[str, Any], form: forms.Form
    ) -> TemplateResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, **more}
        status = 400 if form.errors else 200
        return TemplateResponse(request, "admin/sagas/decide.html", context, status=status)


def may_lift(user: Holder, placed: Hold) -> bool:
    """Whether a user is offered to lift a hold; the verb checks more."""
    return user.has_perm(Right.CHANGE if placed.kind == HoldKind.RUN else Right.HOLD)


def _targets() -> dict[str, set[str]]:
    return {
        HoldKind.SAGA: {saga.name for saga in registry.all_sagas()},
        HoldKind.QUEUE: set(routed_queues()),
        HoldKind.PARTNER: set(partners()),
    }


def _facts(placed: Hold) -> list[tuple[str, object]]:
    target: object = shown(placed.target)
    if placed.kind == HoldKind.RUN:
        target = run_link(placed.target, placed.target)
    facts = [
        (str(placed.kind).title(), target),
        ("Placed by", shown(f"{placed.placer}, {clock(placed.placed_at)}")),
        ("Because", shown(placed.reason)),
    ]
    if placed.lifted_at is not None:
        lifted = f"{placed.lifted_by}, {clock(placed.lifted_at)}"
        return [*facts, ("Lifted by", shown(lifted))]
    if placed.probe is not None:
        since = f"since {clock(placed.probed_at)}" if placed.probed_at else ""
        through = format_html("{} {}", run_link(placed.probe, placed.probe), since)
        facts.append(("Lets through", through))
    if placed.ends_at is not None:
        ends = f"{clock(placed.ends_at)}, by itself; or lift it here"
        facts.append(("Ends", ends))
    elif placed.source:
        facts.append(("Lifted", f"by {placed.source} itself, or here: then it tries the partner"))
    return [*facts, ("Runs that wait for it", f"{waiting_under(placed):,} (1,000 at most)")]


def _user(request: HttpRequest) -> Any:
    return request.user
