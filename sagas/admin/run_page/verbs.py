"""The buttons of a run: what can be done, apart by whether it can be taken back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.http import urlencode

from sagas.admin.back import carried
from sagas.admin.shown import line
from sagas.operate.offer import Offer


def bars(run_id: UUID, offers: Sequence[Offer], back: str) -> list[dict[str, Any]]:
    """The rows of buttons, each with the word before it, which says what their colour says.

    Args:
        offers: those that do not fit get no button.
        back: the filter of the list to return to.
    """
    rows = []
    for final, word in ((False, ""), (True, "Irreversible:")):
        fitting = [o for o in offers if not o.refusal and o.verb.final is final]
        if fitting:
            buttons = list(_buttons(run_id, fitting, back))
            rows.append({"word": word, "final": final, "buttons": buttons})
    return rows


def _buttons(run_id: UUID, offers: Sequence[Offer], back: str) -> Iterator[dict[str, Any]]:
    for offer in offers:
        address = reverse("admin:sagas_run_do", args=[run_id, offer.verb.name])
        step = f"?{urlencode({'step': offer.step})}" if offer.step else ""
        yield {
            "name": offer.verb.name,
            "label": offer.verb.label,
            "step": line(offer.step, 100),
            "address": carried(f"{address}{step}", back),
            "approval": offer.approval,
        }
