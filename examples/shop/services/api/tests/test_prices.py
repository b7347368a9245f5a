import pytest
from shop_api.prices import DELIVERY, UnknownItemError, basket, price


def test_price_of_an_item():
    assert price("apple") == 40


def test_unknown_item_is_refused():
    with pytest.raises(UnknownItemError):
        price("unicorn")


def test_small_baskets_pay_for_delivery():
    assert basket({"apple": 2}) == 80 + DELIVERY


def test_large_baskets_do_not():
    assert basket({"cheese": 3}) == 2670


def test_empty_basket_costs_nothing():
    assert basket({}) == 0
