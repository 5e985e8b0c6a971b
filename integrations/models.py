"""The shop's orders. How an order fares is its run's to say."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID, uuid4

from django.db import models
from django.db.models import OuterRef, Q, Subquery, Value
from django.db.models.functions import Cast, Concat, Now

from integrations.catalogue import CATALOGUE, price
from integrations.sagas import order_fulfilment
from integrations.webhooks.models import PartnerObject as PartnerObject  # Django looks here
from integrations.webhooks.models import WebhookEvent as WebhookEvent
from sagas.models import Run

SAGA = order_fulfilment.order_fulfilment.name


class OrderQuerySet(models.QuerySet["Order"]):
    """Questions that the shop asks about orders."""

    def with_status(self) -> OrderQuerySet:
        """Orders that know their `status`, that of their runs."""
        key = Concat(Value(_PREFIX), Cast(OuterRef("pk"), models.CharField()))
        run = Run.objects.filter(saga=SAGA, business_key=key)
        return self.annotate(run_status=Subquery(run.values("status")[:1]))


class Order(models.Model):
    """What a customer ordered. It is written once; all that happens later is in its run."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    submission = models.UUIDField(unique=True, help_text="of the form: sent twice, it orders once")
    email = models.EmailField()
    address = models.TextField(max_length=500)
    sku = models.CharField("product", max_length=40)
    quantity = models.PositiveSmallIntegerField()
    amount = models.PositiveIntegerField(help_text="in the smallest unit of the currency")
    currency = models.CharField(max_length=3)
    payment_method = models.CharField(max_length=110, help_text="the payment partner's token")
    created_at = models.DateTimeField(db_default=Now())

    objects = OrderQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        indexes: ClassVar = [models.Index(fields=("-created_at",), name="integrations_order_last")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(quantity__gt=0, amount__gt=0), name="integrations_order_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sku} ({self.quantity})"

    @property
    def key(self) -> str:
        """The business key of this order's run."""
        return key_of(self.pk)

    @property
    def product_name(self) -> str:
        """What it was called, or its number if it is sold no more."""
        product = CATALOGUE.get(self.sku)
        return product.name if product else self.sku

    @property
    def total(self) -> str:
        """The amount as people write it."""
        return price(self.amount, self.currency)

    @property
    def status(self) -> str | None:
        """That of its run, where `with_status` asked for it."""
        return getattr(self, "run_status", None)

    @property
    def status_words(self) -> str:
        """The status as people write it."""
        return self.status.replace("_", " ") if self.status else "unknown"

    def details(self) -> dict[str, Any]:
        """What the customer chose."""
        return {name: getattr(self, name) for name in _DETAILS}

    def payload(self) -> order_fulfilment.Order:
        """What the saga needs to know. Raises pydantic.ValidationError if it is unfit."""
        return order_fulfilment.Order(order_id=self.pk, **self.details())


def key_of(order_id: UUID) -> str:
    """The business key of the run of the order with that id."""
    return f"{_PREFIX}{order_id}"


_PREFIX = "order:"
_DETAILS = ("email", "address", "sku", "quantity", "amount", "currency", "payment_method")
