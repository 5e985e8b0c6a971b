"""A world with anchors, for tests: where they are kept, and what verify says of them."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from django.core.management import CommandError, call_command

from sagas.operate.anchored import audit_problems, collected, event_problems
from sagas.operate.audit import chain
from sagas.operate.stores import FileStore


def lack(path: Path) -> list[str]:
    """What audit and events lack of what the anchors in a file say."""
    anchors = collected(FileStore(path).read())
    entries = {link.number: link.hash for link in chain()}
    audit = audit_problems(anchors.heads, entries)
    return [*anchors.problems, *audit, *event_problems(anchors.heads)]


def verified() -> str:
    """What the command says of the audit, or its error."""
    out = StringIO()
    try:
        call_command("audit", "verify", stdout=out, stderr=out)
    except CommandError as error:
        return f"{out.getvalue()}CommandError: {error}"
    return out.getvalue()
