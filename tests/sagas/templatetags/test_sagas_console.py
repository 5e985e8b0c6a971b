from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.template import Context, Template
from django.test import RequestFactory

SHEET = Template("{% load sagas_console %}[{% saga_overview %}]")


@pytest.mark.django_db
def test_the_tag_draws_the_overview_for_who_may_see_it_and_nothing_for_others() -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    assert SHEET.render(Context({"request": request})) == "[]"
    request.user = User.objects.create_superuser("root")
    assert '<div class="overview" data-live=' in SHEET.render(Context({"request": request}))
