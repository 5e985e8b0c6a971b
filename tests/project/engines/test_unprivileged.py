import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from project.engines import unprivileged

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="says what root does")


def test_an_ordinary_user_runs_commands_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert unprivileged.command(["postgres", "-D"]) == ["postgres", "-D"]


def test_root_without_setpriv_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match=r"ordinary user, or set DATABASE_URL"):
        unprivileged.command(["postgres"])


@as_root
def test_root_runs_commands_as_nobody() -> None:
    ran = subprocess.run(
        unprivileged.command(["/usr/bin/env", "id", "-un"]),
        check=True,
        capture_output=True,
        text=True,
    )
    assert ran.stdout.strip() == "nobody"


@as_root
def test_nobody_reaches_a_folder_that_root_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    inside = tmp_path / "inside"
    inside.mkdir()
    listing = ["/usr/bin/env", "ls", str(inside)]
    assert subprocess.run(unprivileged.command(listing, inside), check=False).returncode == 0
    closed = subprocess.run(unprivileged.command(listing), check=False, stderr=subprocess.DEVNULL)
    assert closed.returncode != 0, "the folder was open to all, so this proves nothing"


@as_root
def test_programs_in_a_folder_that_root_closed_count_as_executable(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    program = tmp_path / "program"
    program.touch(mode=0o755)
    asked = "import os, sys; sys.exit(not os.access(sys.argv[1], os.X_OK))"
    command = unprivileged.command([sys.executable, "-c", asked, str(program)], program)
    assert subprocess.run(command, check=False).returncode == 0


@as_root
def test_what_is_given_belongs_to_nobody(tmp_path: Path) -> None:
    unprivileged.give(tmp_path)
    assert tmp_path.owner() == pwd.getpwuid(tmp_path.stat().st_uid).pw_name == "nobody"
