"""Chaos: a private world under load, with faults, checked against the partners' ledger.

The parts, in the order in which a campaign uses them: ``campaign`` starts the ``world`` (engines,
``partner``, workers, web, and a ``proxy`` on every edge), ``load`` starts runs and cancels some,
``nemesis`` injects faults, ``verdict`` checks the invariants, ``report`` prints. ``mutants`` break
the engine on purpose, to show that the verdict can be red.
"""
