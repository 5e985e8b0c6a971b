"""Two small campaigns: the engine keeps its promises, and a broken one is found out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def campaign(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "chaos", "--json", "--processes=2", *options],
        cwd=_ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings"},
        text=True,
        capture_output=True,
        timeout=300,
    )


def test_nothing_is_lost_doubled_or_stuck_while_children_die_and_messages_are_copied() -> None:
    done = campaign("--runs=60", "--seconds=20", "--faults=child,duplicates")
    report = json.loads(done.stdout)
    assert done.returncode == 0, [report["violations"], report["vacuous"], done.stderr[-500:]]
    assert report["accepted"] == 60
    assert set(report["wrong"].values()) == {0}
    assert report["faults"]["child"] >= 5
    assert report["quiesced_seconds"] < 60


def test_an_engine_that_repeats_with_another_key_is_found_out() -> None:
    done = campaign("--runs=40", "--seconds=1", "--faults=none", "--mutant=key")
    assert done.returncode == 1
    assert "I3" in json.loads(done.stdout)["violations"]


def test_a_fault_that_nobody_knows_is_refused_in_one_line() -> None:
    done = campaign("--faults=earthquake")
    assert done.returncode == 1
    assert "No fault is named 'earthquake'. There are: child," in done.stderr
    assert "Traceback" not in done.stderr
