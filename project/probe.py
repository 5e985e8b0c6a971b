"""Asks the site whether it is ready: `python -m project.probe URL` exits 0 when it is."""

import os
import sys
from collections.abc import Mapping
from urllib.error import URLError
from urllib.request import Request, urlopen


def answers(url: str, environment: Mapping[str, str]) -> bool:
    """Whether `url` answers with success to a host that ALLOWED_HOSTS of `environment` names."""
    try:
        with urlopen(Request(url, headers=_host(environment)), timeout=5):
            return True
    except (URLError, OSError):
        return False


def _host(environment: Mapping[str, str]) -> dict[str, str]:
    first = environment.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".")
    return {"Host": first} if first not in ("", "*") else {}


if __name__ == "__main__":
    sys.exit(None if answers(sys.argv[1], os.environ) else f"{sys.argv[1]} is not ready")
