"""Notifications: mail to customers."""

from __future__ import annotations

from integrations.notifications.schemas import Notifications, Sent
from integrations.seam import Seam

__all__ = ["Notifications", "Sent", "connector", "use"]


def _connect() -> Notifications:
    # Only here: the client imports Django's mail, which needs Django's settings.
    from integrations.notifications.client import connect

    return connect()


_seam: Seam[Notifications] = Seam(_connect)
connector = _seam.connector
use = _seam.use
