"""The admin's login, which may be tried only so often."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError

from sagas.operate import people
from sagas.operate.logins import count, succeeded
from sagas.operate.throttle import Throttled


class LoginForm(AdminAuthenticationForm):
    """Counts an attempt before it looks at the password."""

    def clean(self) -> dict[str, Any]:
        name, request = self.cleaned_data.get("username"), self.request
        if request is None or not (name and self.cleaned_data.get("password")):
            return super().clean()
        try:
            attempt = count(request, name)
        except Throttled as error:
            if error.first:
                people.throttled(request, name)
            raise ValidationError(str(error), code="throttled") from None
        cleaned = super().clean()
        succeeded(request, name, attempt)
        return cleaned


if admin.site.login_form is None:  # a project may have one of its own
    admin.site.login_form = LoginForm
