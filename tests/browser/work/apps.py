from django.apps import AppConfig


class WorkConfig(AppConfig):
    name = "tests.browser.work"
    label = "browser_work"
