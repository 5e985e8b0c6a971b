"""The Django application of the leads."""

from django.apps import AppConfig


class LeadsConfig(AppConfig):
    """Holds the leads."""

    name = "integrations.leads"
    label = "integrations_leads"
    verbose_name = "Leads"
    default_auto_field = "django.db.models.BigAutoField"
