"""How calls leave: to checked addresses only, by the proxy if there is one, and never beyond their
deadline."""

from integrations.egress.addresses import Forbidden
from integrations.egress.connection import Connection, until
from integrations.egress.names import Unreachable
from integrations.egress.route import connect

__all__ = ["Connection", "Forbidden", "Unreachable", "connect", "until"]
