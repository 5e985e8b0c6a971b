"""The command that runs each test module in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import alone

_HIDES = """
import sys

def test_nobody_was_here_before():
    assert "sagas_was_here" not in sys.modules
    sys.modules["sagas_was_here"] = sys
"""


def test_each_module_has_a_process_of_its_own(tmp_path: Path) -> None:
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / name).write_text(_HIDES)
    ran = alone.run_all(alone.modules([str(tmp_path)]), jobs=2)
    assert [one.code for one in ran] == [0, 0], [one.output for one in ran]
    assert "2 passed, 0 failed" in alone.report(ran, 1.0)


def test_a_module_that_fails_is_told_with_its_output(tmp_path: Path) -> None:
    (tmp_path / "test_red.py").write_text("def test_red():\n    assert False, 'as it must'\n")
    ran = alone.run_all(alone.modules([str(tmp_path)]), jobs=1)
    assert ran[0].code == 1
    assert "as it must" in alone.report(ran, 1.0)


def test_a_place_without_test_modules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no test module"):
        alone.modules([str(tmp_path)])
