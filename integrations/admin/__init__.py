"""The shop and its partners in Django's admin."""

from integrations.admin import orders, webhooks

__all__ = ["orders", "webhooks"]
