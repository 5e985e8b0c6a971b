"""This engine beside a bare Celery chain and DBOS Transact, in one interleaved run."""
