"""The partners, their connectors, and the sagas that tie them together.

A new partner is a package here, of four files. `schemas.py`: what it answers, and a Protocol of
what it does for us. `client.py`: the real client, over `integrations.http`, whose failures are the
errors of `integrations.errors`. `fake.py`: the same in memory, on `integrations.fakes`.
`__init__.py`: its `Seam`. Its settings go to `conf.py`, its stand-in to `sandbox`, and its claims
to `tests/integrations/conformance`, which hold fake and real client to the same behaviour.
"""
