from pathlib import Path

from project.engines import leftover
from tests.project.processes import gone, read_line, running, until

SERVER = "import os, sys, time; os.chdir(sys.argv[1]); print('up', flush=True); time.sleep(600)"


def test_a_server_that_works_in_the_directory_is_ended(tmp_path: Path) -> None:
    with running(SERVER, str(tmp_path)) as server:
        read_line(server)
        pid_file = tmp_path / "pid"
        pid_file.write_text(f"{server.pid}\nmore lines, as PostgreSQL writes them\n")
        leftover.end(pid_file, tmp_path)
        until(lambda: gone(server.pid), "the server is gone")
        assert not pid_file.exists()


def test_a_stranger_with_the_number_of_the_server_is_left_alone(tmp_path: Path) -> None:
    with running(SERVER, "/") as stranger:
        read_line(stranger)
        pid_file = tmp_path / "pid"
        pid_file.write_text(str(stranger.pid))
        leftover.end(pid_file, tmp_path)
        assert not gone(stranger.pid)
        assert not pid_file.exists()


def test_a_pid_file_that_says_nothing_is_removed(tmp_path: Path) -> None:
    for text in ("", "no number", "999999999"):
        pid_file = tmp_path / "pid"
        pid_file.write_text(text)
        leftover.end(pid_file, tmp_path)
        assert not pid_file.exists()


def test_without_a_pid_file_there_is_nothing_to_do(tmp_path: Path) -> None:
    leftover.end(tmp_path / "pid", tmp_path)
