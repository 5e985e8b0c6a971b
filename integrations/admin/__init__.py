"""The shop and its partners in Django's admin."""

from integrations.admin import leads, orders, webhooks

__all__ = ["leads", "orders", "webhooks"]
