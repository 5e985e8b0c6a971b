import signal
import socket
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
from project import run
from project.world import World
run.World = lambda: World(Path(sys.argv[1]))
run.main(sys.argv[2:])
"""


def test_engines_that_run_already_are_told_without_a_stack_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def busy() -> None:
        raise EnginesBusy("run by another process (7)")

    monkeypatch.setattr(run, "World", busy)
    monkeypatch.setattr(run, "exit_on_sigterm", lambda: None)
    with pytest.raises(SystemExit, match=r"another process \(7\)"):
        run.main([])


@pytest.mark.parametrize("asked", [["--help"], ["--port", "70000"], ["--prot", "1"]])
def test_a_question_or_a_mistake_starts_nothing(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "World", lambda: pytest.fail("it started"))
    with pytest.raises(SystemExit):
        run.main(asked)
    said = capsys.readouterr()
    assert "--port PORT" in said.out + said.err


@pytest.mark.django_db(transaction=True)
def test_it_serves_until_ctrl_c(process_environment: dict[str, str], tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path / "var"), f"--port={port}"],
        cwd=ROOT,
        env=process_environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = next(line for line in process.stdout if line.startswith("The site: http://"))
    assert f":{port}/admin/" in said
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate()
    assert rest.endswith("stopped\n")
    assert process.returncode == 0
