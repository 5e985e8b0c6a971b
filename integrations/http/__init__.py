"""The only socket to partners that speak HTTP: bounded in time and size, honest about effects."""

from integrations.http.exchange import Reply, parse, send, word
from integrations.http.resources import find, make, undo

__all__ = ["Reply", "find", "make", "parse", "send", "undo", "word"]
