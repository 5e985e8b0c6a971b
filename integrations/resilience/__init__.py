"""What keeps a partner's bad day from becoming ours: policies around every call to a partner."""

from integrations.resilience.stack import guarded

__all__ = ["guarded"]
