"""PostgreSQL refuses to run as root. As root, it runs as `nobody`."""

import os
import pwd
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

_USER = "nobody"


def command(arguments: Sequence[str], *paths: Path) -> list[str]:
    """`arguments`, made to run as `nobody` when we are root. `paths` are those it must reach."""
    if os.geteuid() != 0:
        return list(arguments)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise FileNotFoundError(
            "PostgreSQL does not run as root, and there is no setpriv (util-linux) to change the "
            "user; run this as an ordinary user, or set DATABASE_URL"
        )
    user = pwd.getpwnam(_USER)
    identity = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [setpriv, *identity, *_reach(*paths, Path(arguments[0])), "--", *arguments]


def give(path: Path) -> None:
    """Make `nobody` the owner of `path` when we are root."""
    if os.geteuid() == 0:
        user = pwd.getpwnam(_USER)
        os.chown(path, user.pw_uid, user.pw_gid)


def _reach(*paths: Path) -> list[str]:
    """Let it pass through folders closed to others (/root, a temporary one), but not write."""
    if all(_open_to_all(folder) for path in paths for folder in path.resolve().parents):
        return []
    capability = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    # Without this bit access(2), by which PostgreSQL finds its programs, ignores the capability.
    return ["--securebits=+no_setuid_fixup", *capability]


def _open_to_all(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)
