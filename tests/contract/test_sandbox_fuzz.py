from pathlib import Path

from integrations.sandbox.process import running_sandbox
from tests.contract.fuzz import fuzz
from tests.contract.fuzz.sandbox import sandbox


def test_fuzzing_the_sandbox_finds_nothing(tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "ledger.sqlite3") as running:
        report = fuzz(sandbox(running, examples=5, seed=1))
    assert not report.findings, str(report)
    assert min(report.sent.values()) >= 5
