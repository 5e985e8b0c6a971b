"""`make demo` as people run it: with and without a terminal, and killed."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import psutil

from tests.project.processes import ROOT, gone, kill, until

_DEMO = "import sys; from pathlib import Path; from project.demo.__main__ import main; "
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def command(var: Path) -> list[str]:
    return [sys.executable, "-c", f"{_DEMO} main(Path({str(var)!r}), port=0)"]


def test_without_a_terminal_it_ends_when_every_run_ended_as_it_must(
    process_environment: dict[str, str], tmp_path: Path
) -> None:
    demo = subprocess.run(
        command(tmp_path), cwd=ROOT, env=process_environment, capture_output=True, text=True
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stderr == ""
    assert "10 of 10 runs ended as they must." in demo.stdout
    assert "FAIL" not in demo.stdout
    assert _processes_of(tmp_path) == []


def test_in_a_terminal_it_serves_until_it_is_killed_and_leaves_nothing_behind(
    process_environment: dict[str, str], tmp_path: Path
) -> None:
    with _in_terminal(command(tmp_path), process_environment) as (demo, lines):
        said = "".join(iter(lambda: next(lines), "Try it. Ctrl-C stops everything.\r\n"))
        shop, user, password = _found(r"Admin +(\S+)/admin/ +user (\S+), password (\S+)", said)
        assert _may_enter(shop, user, password)
        assert not _may_enter(shop, user, "another")
        children = psutil.Process(demo.pid).children(recursive=True)
        assert len(children) > 5
        kill(demo.pid)
    until(lambda: all(gone(child.pid) for child in children), "the demo's processes are gone")


@contextmanager
def _in_terminal(
    command: list[str], environment: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], Iterator[str]]]:
    ours, theirs = pty.openpty()
    demo = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    with closing(os.fdopen(ours, errors="replace", newline="")) as output:
        try:
            yield demo, iter(output)
        finally:
            demo.kill()
            demo.wait()


def _found(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text)
    assert found is not None, text
    return found.groups()


def _may_enter(shop: str, user: str, password: str) -> bool:
    with httpx2.Client(base_url=shop, timeout=30) as browser:
        form = browser.get("/admin/login/").text
        browser.post(
            "/admin/login/",
            data={
                "username": user,
                "password": password,
                "csrfmiddlewaretoken": _found(_TOKEN.pattern, form)[0],
            },
        )
        return browser.get("/admin/").status_code == 200


def _processes_of(folder: Path) -> list[int]:
    """The processes that were started with a path in the folder, such as the partners' ledger."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or []):
            found.append(process.pid)
    return found
