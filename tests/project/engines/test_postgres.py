import shutil
from pathlib import Path

import pytest

from project.engines import binaries
from project.engines.postgres import Postgres


def test_the_socket_has_a_short_path_however_deep_the_project_lies(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 25) / ("longer" * 20)
    deep.mkdir(parents=True)
    postgres = Postgres(deep)
    socket = (deep / "socket").readlink()
    assert len(str(socket / ".s.PGSQL.5432")) < 100
    assert socket.stat().st_mode & 0o077 == 0
    postgres.forget()
    assert not socket.exists()


def test_the_socket_folder_of_a_killed_starter_is_removed(tmp_path: Path) -> None:
    Postgres(tmp_path)
    left = (tmp_path / "socket").readlink()
    again = Postgres(tmp_path)
    assert not left.exists()
    again.forget()


def test_a_cluster_half_made_by_a_crash_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / "PG_VERSION").write_text("18\n")
    Postgres(tmp_path).forget()
    assert (tmp_path / "data" / "global").is_dir()
    assert not (tmp_path / "data.new").exists()


def test_a_cluster_of_another_version_is_refused_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(RuntimeError, match=r"made by PostgreSQL 9\.6.*move it away"):
        Postgres(tmp_path)


def test_a_cluster_that_cannot_be_made_is_reported_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "postgres", lambda name: shutil.which("false"))
    with pytest.raises(RuntimeError, match=r"initdb could not make .*data\.new.*DATABASE_URL"):
        Postgres(tmp_path)
    assert not (tmp_path / "data").exists()
