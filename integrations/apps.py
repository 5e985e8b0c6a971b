"""The Django application of the partners and the shop front."""

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    """Holds the shop's orders; the engine finds the sagas below it."""

    name = "integrations"
    verbose_name = "Shop"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from integrations import receivers  # noqa: F401  # each registers what it handles
        from integrations.webhooks import hint
        from sagas.signals import swept

        swept.connect(hint.after_sweep)
