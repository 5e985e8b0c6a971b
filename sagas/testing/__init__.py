"""Test your own sagas: scenarios without any engine, and crashes with the real one.

``given(saga, payload)`` plays a saga on the pure planner, in microseconds and without a database.
``crash_matrix(saga, payload)`` runs the real engine on the test database and kills the process at
every moment of the protocol, one at a time.
"""

from __future__ import annotations

from sagas.define.outcome import Done
from sagas.define.registry import isolated
from sagas.testing.matrix import Report, crash_matrix
from sagas.testing.scenario import Scenario, given

__all__ = ["Done", "Report", "Scenario", "crash_matrix", "given", "isolated"]
