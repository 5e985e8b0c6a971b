"""A tiny one, with everything real: engines, site, workers, partners, users."""

from pathlib import Path

import pytest

from bench.load import report
from bench.load.__main__ import main
from bench.load.run import Options, run


def test_a_world_is_loaded_and_finishes_its_work(tmp_path: Path) -> None:
    asked = Options(users=2, seconds=2)
    outcome = run(asked, tmp_path)
    assert outcome.runs.get("succeeded")
    assert not any(request.failed for request in outcome.requests)
    told = report.text(asked, outcome)
    for kind in ("API: start a run", "shop: order", "Used up first: "):
        assert kind in told, told


@pytest.mark.parametrize("wrong", ["0", "501", "x"])
def test_load_is_bounded(wrong: str) -> None:
    with pytest.raises(SystemExit):
        main(["--users", wrong])
