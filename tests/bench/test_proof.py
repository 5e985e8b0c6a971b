"""The full sizes: what runs them, and that the suite shows each small."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.proof import __main__ as proof
from bench.proof.proofs import PROOFS, Proof

_ROOT = Path(__file__).resolve().parents[2]


def _saying(text: str, code: int = 0, ends_with: int = 0) -> Proof:
    script = f"import os, sys; print({text!r}, os.environ.get('SIZE')); sys.exit({code})"
    command = (sys.executable, "-c", script)
    return Proof("said", "it says so", command, "", {"SIZE": "large"}, ends_with)


@pytest.fixture(autouse=True)
def _logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "LOGS", tmp_path / "logs")


def test_a_proof_holds_if_its_command_ends_as_it_must_and_its_last_line_is_told() -> None:
    shown = proof.show(_saying("all is well"))
    assert (shown.held, shown.last) == (True, "all is well large")


@pytest.mark.parametrize(("code", "ends_with"), [(1, 0), (0, 1)])
def test_a_proof_that_ends_otherwise_does_not_hold(code: int, ends_with: int) -> None:
    shown = proof.show(_saying("", code, ends_with))
    assert not shown.held
    assert "| NO |" in proof.table([shown])


def test_a_name_that_is_no_proofs_is_refused_with_those_that_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        proof.main(["chaos-redus"])
    assert "no proof is named 'chaos-redus'; there are: chaos-redis," in capsys.readouterr().err


def test_the_list_names_every_proof_and_runs_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert proof.main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [each.name for each in PROOFS]


@pytest.mark.parametrize("each", PROOFS, ids=lambda each: each.name)
def test_what_a_proof_names_exists(each: Proof) -> None:
    if each.small:
        assert (_ROOT / each.small.split("::")[0]).is_file()
    target = each.command[each.command.index("-m") + 1] if "-m" in each.command else each.command[1]
    path = _ROOT / target.replace(".", "/")
    assert target in ("pytest", "manage.py") or path.is_dir() or path.with_suffix(".py").is_file()
