"""The shop's catalogue: prices in cents, and what a basket costs."""

PRICES = {"apple": 40, "bread": 320, "cheese": 890}
FREE_DELIVERY_FROM = 2_000
DELIVERY = 350


class UnknownItemError(KeyError):
    """The shop does not sell this."""


def price(item: str) -> int:
    """Price of one item in cents."""
    if item not in PRICES:
        raise UnknownItemError(item)
    return PRICES[item]


def basket(items: dict[str, int]) -> int:
    """What the items cost together with delivery, in cents."""
    goods = sum(price(item) * count for item, count in items.items())
    return goods if goods == 0 or goods >= FREE_DELIVERY_FROM else goods + DELIVERY
