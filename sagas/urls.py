"""The addresses of the API; include them under a prefix of your own, such as ``api/``."""

from __future__ import annotations

from django.urls import URLPattern, include, path, re_path
from django.views.decorators.csrf import csrf_exempt

from sagas.views import absent, api, finished

_patterns, _app_name, _namespace = api.urls
for _pattern in _patterns:
    assert isinstance(_pattern, URLPattern), "the API has no nested addresses"
    _pattern.callback = finished(_pattern.callback)

urlpatterns = [
    path("", include((_patterns, _app_name), namespace=_namespace)),
    re_path("", csrf_exempt(finished(absent))),  # a problem, not a page of the site's
]
