"""The shop front's addresses."""

from django.urls import path

from integrations.views import leads, orders, registrations, webhooks

app_name = "shop"

urlpatterns = [
    path("", orders.shop, name="shop"),
    path("orders/", orders.orders, name="orders"),
    path("orders/<uuid:order_id>/", orders.order_page, name="order"),
    path("orders/<uuid:order_id>/progress", orders.progress, name="progress"),
    path("sign-up/", registrations.sign_up, name="sign-up"),
    path(
        "registrations/<uuid:registration_id>/",
        registrations.registration_page,
        name="registration",
    ),
    path(
        "registrations/<uuid:registration_id>/progress",
        registrations.progress,
        name="registration-progress",
    ),
    path("offers/", leads.ask, name="offer"),
    path("leads/<uuid:lead_id>/", leads.lead_page, name="lead"),
    path("leads/<uuid:lead_id>/progress", leads.progress, name="lead-progress"),
    path("webhooks/<str:source>", webhooks.receive, name="webhook"),
]
