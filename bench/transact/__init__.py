"""DBOS Transact's side: its workflow, run directly by its workers or handed over in a queue."""
