from __future__ import annotations

from uuid import UUID

from sagas.admin.run_page.verbs import bars
from sagas.operate.catalogue import VERBS
from sagas.operate.offer import Offer

RUN = UUID("01900000-0000-7000-a000-000000000001")


def offer(verb: str, step: str = "", refusal: str = "", *, approval: bool = False) -> Offer:
    return Offer(VERBS[verb], step, refusal, approval)


def test_what_cannot_be_taken_back_stands_apart_and_a_word_says_so() -> None:
    offers = [offer(name) for name in VERBS]
    safe, final = bars(RUN, offers, "")
    assert [button["name"] for button in safe["buttons"]] == [
        *("retry", "pause", "resume", "migrate", "assign")
    ]
    assert safe["word"] == ""
    assert [button["name"] for button in final["buttons"]] == [
        *("mark", "skip", "restart", "compensate", "cancel", "resolve")
    ]
    assert final["word"] == "Irreversible:"


def test_what_would_be_refused_has_no_button() -> None:
    assert bars(RUN, [offer("cancel", refusal="no"), offer("skip", "a", "no")], "") == []


def test_a_button_leads_to_its_verb_and_step_and_back_to_the_filter() -> None:
    [bar] = bars(RUN, [offer("retry", "a b&c", approval=True)], "tag=vip")
    [button] = bar["buttons"]
    assert button["address"] == (
        f"/admin/sagas/run/{RUN}/do/retry/?step=a+b%26c&_changelist_filters=tag%3Dvip"
    )
    assert (button["label"], button["step"], button["approval"]) == ("Retry", "a b&c", True)
