"""The Django application of the partners and the shop front."""

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    """Holds the shop's orders; the engine finds the sagas below it."""

    name = "integrations"
    verbose_name = "Shop"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from integrations import receivers  # noqa: F401  # each registers what it handles
        from integrations.resilience import checks, health, hold  # noqa: F401  # registers itself
        from integrations.webhooks import checks as secrets  # noqa: F401
        from integrations.webhooks import hint
        from sagas.signals import partner_health, swept

        swept.connect(hint.after_sweep)
        swept.connect(hold.after_sweep)
        partner_health.connect(health.tell)
