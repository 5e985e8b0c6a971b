"""What the shop sells, and for how much."""

from __future__ import annotations

from dataclasses import dataclass

CURRENCY = "eur"


@dataclass(frozen=True, slots=True)
class Product:
    """Something for sale. How many there are is the warehouse's to say."""

    sku: str
    name: str
    price: int  # in the smallest unit of CURRENCY

    def cost(self, quantity: int) -> int:
        """What so many of it cost."""
        return self.price * quantity


CATALOGUE = {
    product.sku: product
    for product in (
        Product("kettle", "Kettle, enamelled", 4900),
        Product("teapot", "Teapot for two", 3200),
        Product("mug", "Mug, stoneware", 1450),
        Product("tray", "Tray, ash wood (rarely in stock)", 2800),
    )
}


def price(amount: int, currency: str = CURRENCY) -> str:
    """An amount of the smallest unit as people write it."""
    return f"{amount // 100}.{amount % 100:02d} {currency.upper()}"
