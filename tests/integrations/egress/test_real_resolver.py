"""The C library's own resolver, with a real name server that takes questions and never answers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SERVER = f"127.53.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"  # others may run this, too
IN_A_MOUNT_NAMESPACE = ["unshare", "--mount", "--propagation", "private"]
WITH_RESOLV_CONF = 'mount --bind "$1" /etc/resolv.conf && exec "$2" -c "$3"'
CALLER = """
from integrations import http
from integrations.call import Call
from integrations.errors import PartnerUnavailable

for seconds in (60, 1):  # the first is ended by the time to connect, the second by its own
    try:
        http.send(Call.within(seconds, "inventory", "reserve"), "POST", "http://api.example/")
    except PartnerUnavailable as error:
        print(error)
"""


def _possible() -> bool:
    able = shutil.which("unshare") and shutil.which("mount")
    return bool(able) and not subprocess.run([*IN_A_MOUNT_NAMESPACE, "true"], stderr=-3).returncode


@pytest.mark.skipif(not _possible(), reason="a process with its own resolv.conf needs root")
def test_a_call_does_not_wait_for_a_name_server_that_never_answers(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text(f"nameserver {SERVER}\noptions timeout:5 attempts:6\n")  # half a minute
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((SERVER, 53))
        server.settimeout(0)
        words = ["sh", "-c", WITH_RESOLV_CONF, "-", str(conf), sys.executable, CALLER]
        finished = subprocess.run(
            [*IN_A_MOUNT_NAMESPACE, *words], capture_output=True, text=True, timeout=120
        )
        asked = server.recv(1000)
    assert (finished.returncode, finished.stderr) == (0, "")
    told = "inventory reserve: nothing was sent (ConnectError: the name server does not answer for"
    assert finished.stdout.count(f"{told} api.example)") == 2
    assert b"\x03api\x07example\x00" in asked
