"""The addresses of the site."""

from django.contrib import admin
from django.urls import include, path

from project import health

urlpatterns = [
    path("healthz", health.live),
    path("readyz", health.ready),
    path("admin/", admin.site.urls),
    path("api/", include("sagas.urls")),
    path("", include("integrations.urls")),
]
