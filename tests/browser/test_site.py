from __future__ import annotations

from sagas.states import RunStatus
from tests.browser.site import Site


def test_the_examples_are_what_their_names_say(site: Site) -> None:
    from sagas.models import Run

    runs = {name: Run.objects.get(id=run_id) for name, run_id in site.examples().items()}
    assert {name: run.status for name, run in runs.items()} == {
        "succeeded": RunStatus.SUCCEEDED,
        "compensated": RunStatus.COMPENSATED,
        "refused": RunStatus.NEEDS_ATTENTION,
        "doubt": RunStatus.NEEDS_ATTENTION,
        "waiting": RunStatus.RUNNING,
    }
    assert "does not exist" in runs["refused"].attention
    assert runs["doubt"].steps.get(name="reserve").in_doubt
    assert all(run.business_key == name for name, run in runs.items())
