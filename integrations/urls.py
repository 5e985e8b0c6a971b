"""The shop front's addresses."""

from django.urls import path

from integrations.views import orders, webhooks

app_name = "shop"

urlpatterns = [
    path("", orders.shop, name="shop"),
    path("orders/", orders.orders, name="orders"),
    path("orders/<uuid:order_id>/", orders.order_page, name="order"),
    path("orders/<uuid:order_id>/progress", orders.progress, name="progress"),
    path("webhooks/<str:source>", webhooks.receive, name="webhook"),
]
