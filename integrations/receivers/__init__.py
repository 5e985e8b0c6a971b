"""What partners' webhooks cause: a module for each source, loaded when the application starts."""

from integrations.receivers import hubspot, leads, payments, shipping

__all__ = ["hubspot", "leads", "payments", "shipping"]
