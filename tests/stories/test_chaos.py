"""Small campaigns: the engine keeps its promises, and a broken one is found out.

``CHAOS_SEEDS=20`` shows that no campaign is passed or failed by luck.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from project.chaos.nemesis import NAMES
from project.chaos.operators import VERBS

SEEDS = int(os.environ.get("CHAOS_SEEDS", "1"))
_ROOT = Path(__file__).resolve().parents[2]


def campaign(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "chaos", "--json", "--processes=2", *options],
        cwd=_ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings"},
        text=True,
        capture_output=True,
        timeout=900,
    )


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_every_fault_strikes_and_nothing_is_lost_doubled_or_stuck(seed: int) -> None:
    done = campaign("--runs=40", "--seconds=20", f"--seed={seed}")
    report = json.loads(done.stdout)
    assert done.returncode == 0, [report["violations"], report["vacuous"], done.stderr[-500:]]
    assert report["accepted"] >= 40
    assert set(report["wrong"].values()) == {0}
    assert set(NAMES) == set(report["faults"])
    assert set(VERBS) <= set(report["operators"]["accepted"])
    assert report["quiesced_seconds"] < 60


def test_no_promise_breaks_with_a_seed_that_is_drawn(drawn_seed: int) -> None:
    """Whatever else may be missing on a slow machine: only a promise that broke fails this."""
    done = campaign("--runs=30", "--seconds=10", f"--seed={drawn_seed}")
    report = json.loads(done.stdout)
    assert report["violations"] == {}, f"--seed={drawn_seed}"
    assert set(report["wrong"].values()) == {0}, f"--seed={drawn_seed}"


def test_an_engine_that_repeats_with_another_key_is_found_out() -> None:
    done = campaign("--runs=40", "--seconds=1", "--faults=none", "--mutant=key")
    assert done.returncode == 1
    assert "I3" in json.loads(done.stdout)["violations"]


def test_a_fault_that_nobody_knows_is_refused_in_one_line() -> None:
    done = campaign("--faults=earthquake")
    assert done.returncode == 1
    assert "No fault is named 'earthquake'. There are: child," in done.stderr
    assert "Traceback" not in done.stderr
