from pathlib import Path

from project.engines.redis import Redis


def test_only_the_owner_may_read_the_password(tmp_path: Path) -> None:
    Redis(tmp_path / "redis")
    assert (tmp_path / "redis" / "redis.conf").stat().st_mode & 0o077 == 0


def test_each_start_makes_a_new_password(tmp_path: Path) -> None:
    assert Redis(tmp_path).url(0).split("@")[0] != Redis(tmp_path).url(0).split("@")[0]


def test_a_server_that_does_not_run_is_not_ready(tmp_path: Path) -> None:
    assert not Redis(tmp_path).ready()
