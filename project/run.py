"""`make run`: the whole application on this machine until Ctrl-C."""

import subprocess
import sys
import threading

from project.engines import EnginesBusy
from project.supervisor import ChildFailed
from project.world import World, exit_on_sigterm


def main() -> None:
    """Start everything, say where it is, and stop it on Ctrl-C or SIGTERM."""
    exit_on_sigterm()
    try:
        with World() as world:
            _serve(world)
    except KeyboardInterrupt:
        print("stopped")
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)  # it has said why
    except (EnginesBusy, ChildFailed) as error:
        sys.exit(str(error))


def _serve(world: World) -> None:
    world.manage("migrate", "--verbosity=0")
    world.partners()
    address = world.web()
    world.workers()
    print(f"The site: {address}   Admin: {address}/admin/   Ctrl-C stops everything.", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
