"""Slack: tell our own people something, in the channel of an incoming webhook."""

from __future__ import annotations

from integrations.seam import Seam
from integrations.slack.client import connect
from integrations.slack.schemas import Slack

__all__ = ["Slack", "connector", "use"]

_seam: Seam[Slack] = Seam(connect)
connector = _seam.connector
use = _seam.use
