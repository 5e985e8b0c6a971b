"""Who a process is: one name for a worker and its forks, another for every other worker."""

from __future__ import annotations

import os
import subprocess
import sys

from sagas.identity import identity


def test_a_name_is_kept_and_fits_its_column() -> None:
    assert identity() == identity()
    assert 0 < len(identity()) <= 120


def test_forks_share_the_name_of_their_worker() -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, identity().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == identity()


def test_another_worker_has_another_name() -> None:
    code = "from sagas.identity import identity; print(identity())"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert found
    assert found != identity()
