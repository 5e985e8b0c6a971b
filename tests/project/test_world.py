import json
import signal
import subprocess
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest
from django.db import connection

from project.engines.starter import NAMES
from project.world import World, _unnamed
from tests.project.processes import gone, read_line, running, until

STAND_INS = {
    "INTEGRATIONS_PAYMENTS_API_BASE": "http://stand-in",
    "INTEGRATIONS_PAYMENTS_API_KEY": "stand-in",
    "INTEGRATIONS_SMTP_HOST": "stand-in",
}
WHOLE = """
import json, sys, threading
from pathlib import Path
from project.engines.starter import NAMES
from project.world import World, exit_on_sigterm
exit_on_sigterm()
with World(Path(sys.argv[1]), echo=sys.stderr) as world:
    world.manage("migrate", "--verbosity=0")
    world.partners()
    address = world.web(0)
    world.workers(processes=1)
    print(address, flush=True)
    threading.Event().wait()
"""


def below(pid: int) -> list[int]:
    """All processes that come from `pid`."""
    return [process.pid for process in psutil.Process(pid).children(recursive=True)]


def test_the_site_and_the_partners_answer(world: World) -> None:
    sandbox = world.partners()
    address = world.web(0)
    with urlopen(f"{address}/readyz") as answer:
        assert json.load(answer) == {"status": "ready"}
    assert world.environment["INTEGRATIONS_INVENTORY_URL"].startswith(sandbox.address)
    sandbox.reset()


def test_partners_on_this_machine_may_be_called_beside_those_of_the_environment(
    world: World,
) -> None:
    world.environment["INTEGRATIONS_PRIVATE_HOSTS"] = "warehouse.internal"
    world.partners()
    assert world.environment["INTEGRATIONS_PRIVATE_HOSTS"] == "warehouse.internal,127.0.0.1"


def test_processes_of_a_test_use_its_database(world: World) -> None:
    asked = "from django.db import connection; print(connection.settings_dict['NAME'])"
    said = world.manage("shell", "--verbosity=0", "--command", asked)
    assert said.strip() == connection.settings_dict["NAME"]


def test_a_command_that_fails_is_not_passed_over(world: World) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        world.manage("no-such-command")


def test_a_stopped_process_is_gone(world: World) -> None:
    world.web(0)
    pids = [world.pid("web"), *below(world.pid("web"))]
    world.stop("web")
    assert all(map(gone, pids))


def test_a_worker_consumes_its_queues(world: World, tmp_path: Path) -> None:
    from project.celery import app

    world.workers({"steps": ["sagas"]}, processes=1)
    until(lambda: bool(app.control.inspect(timeout=1).active_queues()), "the worker answers")
    (queues,) = (app.control.inspect(timeout=1).active_queues() or {}).values()
    assert [queue["name"] for queue in queues] == ["sagas"]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_however_a_world_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: signal.Signals
) -> None:
    for name in NAMES:
        monkeypatch.delenv(name)  # so that it runs its own engines
    with running(WHOLE, str(tmp_path)) as whole:
        address = read_line(whole)
        assert address.startswith("http://")
        until(lambda: len(below(whole.pid)) > 20, "engines, partners, web and workers run")
        pids = below(whole.pid)
        whole.send_signal(end)
        until(lambda: all(map(gone, pids)), "all are gone")


def test_a_partner_of_which_a_variable_is_set_is_real() -> None:
    used = _unnamed(STAND_INS, {"INTEGRATIONS_PAYMENTS_API_KEY": "sk_live", "PATH": "/bin"})
    assert used == {"INTEGRATIONS_SMTP_HOST": "stand-in"}


def test_a_partner_of_which_nothing_is_set_is_a_stand_in() -> None:
    assert _unnamed(STAND_INS, {"INTEGRATIONS_PRIVATE_HOSTS": "localhost"}) == STAND_INS
