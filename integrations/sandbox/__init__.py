"""Stand-in partners in a process of their own: real sockets, seeded faults, a ledger of effects.

Nothing here imports Django or the connectors, so that the two sides can only agree over the wire.
"""
