"""The bare Celery chain's side: the fastest way to do it by hand, which keeps no record."""
