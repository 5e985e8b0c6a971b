"""The shop front's addresses."""

from django.urls import path

from integrations.views import leads, orders, registrations, webhooks

app_name = "shop"

urlpatterns = [
    path("", orders.shop, name="shop"),
    path("orders/", orders.orders, name="orders"),
    path("orders/<uuid:number>/", orders.PAGES.page, name="order"),
    path("orders/<uuid:number>/progress", orders.PAGES.progress, name="order-progress"),
    path("sign-up/", registrations.sign_up, name="sign-up"),
    path("registrations/<uuid:number>/", registrations.PAGES.page, name="registration"),
    path(
        "registrations/<uuid:number>/progress",
        registrations.PAGES.progress,
        name="registration-progress",
    ),
    path("offers/", leads.ask, name="offer"),
    path("leads/<uuid:number>/", leads.PAGES.page, name="lead"),
    path("leads/<uuid:number>/progress", leads.PAGES.progress, name="lead-progress"),
    path("webhooks/<str:source>", webhooks.receive, name="webhook"),
]
