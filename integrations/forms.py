"""The shop's forms. What they let through, the saga accepts: its rules are the payload's."""

from __future__ import annotations

from typing import Any, Self
from uuid import uuid4

from django import forms
from pydantic import BaseModel, ValidationError

from integrations.catalogue import CATALOGUE, CURRENCY, price
from integrations.models import Order
from integrations.sagas.customer_registration import Registration
from integrations.sagas.lead_qualification import Inquiry

#: The payment partner's tokens for cards that behave in a known way.
TEST_CARDS = (
    ("pm_card_visa", "Visa (accepted)"),
    ("pm_card_mastercard", "Mastercard (accepted)"),
    ("pm_card_chargeDeclined", "Visa (declined)"),
    ("pm_card_chargeDeclinedInsufficientFunds", "Visa (declined: no funds)"),
    ("pm_card_authenticationRequired", "Visa (declined: owner would have to confirm)"),
)


class PayloadForm(forms.Form):
    """A form that starts a saga, whose `payload` judges it; sent twice, it starts one run."""

    submission = forms.UUIDField(
        widget=forms.HiddenInput,
        initial=uuid4,
        error_messages=dict.fromkeys(("required", "invalid"), "Please load this page anew."),
    )

    payload: BaseModel

    def clean(self) -> dict[str, Any]:
        """Build the saga's payload, and let it judge."""
        if not self.errors:
            try:
                self.payload = self.build(self.cleaned_data)
            except ValidationError as refused:
                self._take_over(refused)
        return self.cleaned_data

    def build(self, data: dict[str, Any]) -> BaseModel:
        """Return the payload that the entries make. Raises pydantic.ValidationError."""
        raise NotImplementedError

    def again(self) -> Self:
        """The same entries, as a new form that starts anew."""
        return type(self)(initial={**self.cleaned_data, "submission": uuid4()})

    def _take_over(self, refused: ValidationError) -> None:
        for problem in refused.errors():
            field = str(problem["loc"][0]) if problem["loc"] else None
            self.add_error(field if field in self.fields else None, problem["msg"])


class OrderForm(PayloadForm):
    """What a customer fills in. `order` is the order it describes, once it is valid."""

    sku = forms.ChoiceField(
        label="Product",
        choices=[(p.sku, f"{p.name}, {price(p.price)}") for p in CATALOGUE.values()],
    )
    quantity = forms.IntegerField(min_value=1, max_value=99, initial=1)
    email = forms.EmailField(
        label="E-mail",
        help_text="The tracking number goes there.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    address = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "street-address"}),
    )
    payment_method = forms.ChoiceField(
        label="Test card", choices=TEST_CARDS, help_text="No money moves."
    )

    order: Order

    def build(self, data: dict[str, Any]) -> BaseModel:
        """Make the order, and its payload."""
        amount = CATALOGUE[data["sku"]].cost(data["quantity"])
        self.order = Order(**data, amount=amount, currency=CURRENCY)
        return self.order.payload()


class RegistrationForm(PayloadForm):
    """What somebody fills in to sign up."""

    name = forms.CharField(max_length=100, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    email = forms.EmailField(
        label="E-mail",
        help_text="You sign in with it. You choose a password when the account is ready.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )

    def build(self, data: dict[str, Any]) -> BaseModel:
        """Make the registration; its number is the form's."""
        return Registration(
            registration_id=data["submission"], name=data["name"], email=data["email"]
        )


class InquiryForm(PayloadForm):
    """What somebody fills in to get an offer."""

    name = forms.CharField(max_length=100, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    email = forms.EmailField(
        label="E-mail",
        help_text="Our answer goes there.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    company = forms.CharField(
        max_length=100, widget=forms.TextInput(attrs={"autocomplete": "organization"})
    )
    employees = forms.IntegerField(
        label="How many work there", min_value=1, max_value=10_000_000, initial=1
    )
    budget = forms.IntegerField(
        label=f"Budget in {CURRENCY.upper()}", min_value=0, max_value=1_000_000_000, initial=0
    )

    def build(self, data: dict[str, Any]) -> BaseModel:
        """Make the inquiry."""
        return Inquiry(**{name: data[name] for name in Inquiry.model_fields})
