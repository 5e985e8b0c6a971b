"""Runs one command that must not outlive its owner: when standard input ends, it is stopped.

`project.child` starts this as a plain script, so it imports nothing of the project and stays small.
"""

import argparse
import os
import select
import shutil
import signal
import subprocess
import sys

_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def main(arguments: list[str]) -> int:
    """Run the command in `arguments` to its end; give its exit code."""
    options = _options(arguments)
    wake = _listen()
    child = subprocess.Popen(options.command, stdin=subprocess.DEVNULL)
    if _ended_by_itself(child, wake, owner=os.getppid()):
        return _exit_code(child.returncode)
    _stop(child, options.stop_signal, options.grace)
    shutil.rmtree(options.remove, ignore_errors=True)
    # Nobody may be left to sweep what the command itself left behind; this ends the guard too.
    os.killpg(0, signal.SIGKILL)
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stop-signal", type=int, default=signal.SIGTERM)
    parser.add_argument("--grace", type=float, default=10.0)
    parser.add_argument("--remove", default="", help="a folder to remove after the stop")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


def _listen() -> int:
    """Turn signals into bytes on a pipe, so that one select hears signals and the owner alike."""
    wake, signalled = os.pipe()
    os.set_blocking(signalled, False)
    signal.set_wakeup_fd(signalled)
    for number in {signal.SIGCHLD, *_STOP_SIGNALS}:
        signal.signal(number, lambda *_: None)
    return wake


def _ended_by_itself(child: "subprocess.Popen[bytes]", wake: int, owner: int) -> bool:
    while child.poll() is None:
        heard, _, _ = select.select([sys.stdin, wake], [], [], 1.0)
        # The parent's id is looked at too: a process forked by the owner may hold the pipe open.
        if sys.stdin in heard or os.getppid() != owner:
            return False
        if wake in heard and _STOP_SIGNALS.intersection(os.read(wake, 64)):
            return False
    return True


def _stop(child: "subprocess.Popen[bytes]", stop_signal: int, grace: float) -> None:
    child.send_signal(stop_signal)
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        child.kill()


def _exit_code(returncode: int) -> int:
    return returncode if returncode >= 0 else 128 - returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
