"""The Django application of the project itself."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """Makes every Django process, not only workers, publish through our Celery application."""

    name = "project"

    def ready(self) -> None:
        from project import celery

        # For all threads: Celery remembers the current application per thread.
        celery.app.set_default()
