"""Accounts: let customers sign in. The real client speaks to Firebase Authentication."""

from __future__ import annotations

from integrations.accounts.schemas import Account, Accounts
from integrations.seam import Seam

__all__ = ["Account", "Accounts", "connector", "use"]


def _connect() -> Accounts:
    # Only here: who makes no accounts need not have the service account's key.
    from integrations.accounts.client import connect

    return connect()


_seam: Seam[Accounts] = Seam(_connect)
connector = _seam.connector
use = _seam.use
