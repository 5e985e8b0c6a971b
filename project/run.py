"""`make run`: the whole application on this machine until Ctrl-C."""

import argparse
import subprocess
import sys
import threading
from collections.abc import Sequence

from project.engines import EnginesBusy
from project.supervisor import ChildFailed
from project.world import World, exit_on_sigterm


def main(arguments: Sequence[str]) -> None:
    """Start everything, say where it is, and stop it on Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m project.run", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=8000, help="of the site (default: 8000); a free one if taken"
    )
    asked = parser.parse_args(arguments)
    if not 0 <= asked.port <= 65535:
        parser.error(f"--port {asked.port}: give 0 to 65535; 0 is a free one.")
    exit_on_sigterm()
    try:
        with World() as world:
            _serve(world, asked.port)
    except KeyboardInterrupt:
        print("stopped")
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)  # it has said why
    except (EnginesBusy, ChildFailed) as error:
        sys.exit(str(error))


def _serve(world: World, port: int) -> None:
    world.manage("migrate", "--verbosity=0")
    world.partners()
    address = world.web(port)
    world.workers()
    print(f"The site: {address}   Admin: {address}/admin/   Ctrl-C stops everything.", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
