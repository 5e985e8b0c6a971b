"""The only socket to partners that speak HTTP: bounded in time and size, honest about effects."""

from integrations.http.exchange import Failure, Reply, parse, send, text, word
from integrations.http.resources import find, make, undo

__all__ = ["Failure", "Reply", "find", "make", "parse", "send", "text", "undo", "word"]
