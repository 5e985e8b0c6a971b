from django.apps import AppConfig


class WorkConfig(AppConfig):
    name = "tests.stories.work"
    label = "stories_work"
