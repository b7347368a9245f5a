"""Amounts of money, counted in cents."""

from shop_money.amounts import AmountError, euros, parse, split

__all__ = ["AmountError", "euros", "parse", "split"]
