"""The names of the partners, as steps, calls and settings have them."""

from __future__ import annotations

from pathlib import Path

from sagas.operate.holding import partners


def known() -> frozenset[str]:
    """The partners that steps name, and those that have a connector here."""
    connectors = Path(__file__).parent.parent.glob("*/client.py")
    return partners() | {path.parent.name for path in connectors}
