"""The Django application of the partners' tokens."""

from django.apps import AppConfig


class OAuthConfig(AppConfig):
    """Holds the tokens."""

    name = "integrations.oauth"
    label = "integrations_oauth"
    verbose_name = "Partners' tokens"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from integrations.oauth import checks

        del checks  # registers itself
