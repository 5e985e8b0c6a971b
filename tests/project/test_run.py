import signal
import subprocess
import sys
from pathlib import Path

import pytest

from project import run
from project.engines import EnginesBusy
from tests.project.processes import ROOT

# As `python -m project.run`, but in a directory of the test's own.
RUN = """
import sys
from pathlib import Path
from pathlib import Path
from project import run
from project.world import World
run.World = lambda: World(Path(sys.argv[1]))
run.main()
"""


def test_engines_that_run_already_are_told_without_a_stack_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def busy() -> None:
        raise EnginesBusy("run by another process (7)")

    monkeypatch.setattr(run, "World", busy)
    monkeypatch.setattr(run, "exit_on_sigterm", lambda: None)
    with pytest.raises(SystemExit, match=r"another process \(7\)"):
        run.main()


@pytest.mark.django_db(transaction=True)
def test_it_serves_until_ctrl_c(process_environment: dict[str, str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path / "var")],
        cwd=ROOT,
        env=process_environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = next(line for line in process.stdout if line.startswith("The site: http://"))
    assert "/admin/" in said
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate()
    assert rest.endswith("stopped\n")
    assert process.returncode == 0
