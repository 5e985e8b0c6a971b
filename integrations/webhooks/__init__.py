"""Webhooks: what partners tell us of their own accord, believed once and acted on once.

A request is verified (`signatures`), read (`envelopes`), and kept (`inbox`) before it is answered;
a worker hands it to its handler (`handlers`, `work`) later, in one transaction with all that it
causes. What nobody can handle is a dead letter, which people have handled again (`replay`).

A new source is an entry in `sources.py` and its secrets in `integrations/conf.py`; what its events
cause is a module in `integrations/receivers`, and what they look like a file in `schemas`.
"""
