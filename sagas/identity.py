"""Who this process is, in leases and events."""

from __future__ import annotations

import os
import socket
from uuid import uuid4

#: Drawn once per worker: its pool processes are forks and inherit it.
_name = f"{socket.gethostname()[:80]}/{os.getpid()}-{uuid4().hex[:8]}"


def identity() -> str:
    """The name of this worker, shared by its pool processes and by no other worker."""
    return _name
