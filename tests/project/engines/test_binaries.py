import subprocess

import pytest

from project.engines import binaries


def test_the_wheels_hold_the_servers() -> None:
    version = subprocess.run(
        [binaries.postgres("postgres"), "--version"], check=True, capture_output=True, text=True
    ).stdout
    assert f"PostgreSQL) {binaries.POSTGRES_VERSION}." in version
    assert subprocess.run([binaries.redis_server(), "--version"], check=False).returncode == 0


def test_a_missing_program_is_reported_with_the_cure() -> None:
    with pytest.raises(FileNotFoundError, match=r"make install.*DATABASE_URL"):
        binaries.postgres("no-such-program")
