"""What the site logs of a request, as the image starts it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from project.probe import answers
from tests.project.processes import ROOT, until
from tests.project.test_redis_users import free_port


@pytest.fixture
def command() -> list[str]:
    """How the image starts the site."""
    told = re.search(r"^CMD (\[.*\])", (ROOT / "Dockerfile").read_text().replace("\\\n", ""), re.M)
    assert told
    program, *options = json.loads(told[1])
    return [sys.executable, "-m", program, *options]


def test_no_value_of_a_query_is_logged(command: list[str], tmp_path: Path) -> None:
    address, log = f"127.0.0.1:{free_port()}", tmp_path / "log"
    here = [f"--bind={address}" if "--bind" in option else option for option in command]
    assert here != command
    with log.open("wb") as file:
        site = subprocess.Popen(
            [*here, "--workers=1"], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        until(lambda: answers(f"http://{address}/healthz", os.environ), "it answers")
        asked = Request(
            f"http://{address}/healthz?q=alice@example.com&token=s3cret%0Aalice",
            headers={"Referer": "https://shop.example/admin/?q=alice@example.com"},
        )
        with urlopen(asked) as answer:
            assert answer.status == 200
        line = '"GET /healthz?... HTTP/1.1" 200 18 "https://shop.example/admin/?..."'
        until(lambda: line in log.read_text(), "the request is logged")
        assert not re.search("alice|s3cret", log.read_text())
    finally:
        site.terminate()
        site.wait()
