"""A tiny one, with everything real: engines, site, workers, partners, users."""

from pathlib import Path

import pytest

from bench.load import report
from bench.load.__main__ import main
from bench.load.run import Options, run


def test_a_world_is_loaded_and_finishes_its_work(tmp_path: Path) -> None:
    kinds = ("API: start a run", "shop: order", "Used up first: ")
    for seconds in (2, 20):  # on a busy machine two may be over before everybody has done all
        asked = Options(users=2, seconds=seconds)
        outcome = run(asked, tmp_path / str(seconds))
        told = report.text(asked, outcome)
        if all(kind in told for kind in kinds):
            break
    else:
        pytest.fail(told)
    assert outcome.runs.get("succeeded")
    assert not any(request.failed for request in outcome.requests)


@pytest.mark.parametrize("wrong", ["0", "501", "x"])
def test_load_is_bounded(wrong: str) -> None:
    with pytest.raises(SystemExit):
        main(["--users", wrong])
