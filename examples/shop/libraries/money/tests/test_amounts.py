import pytest
from shop_money import AmountError, euros, parse, split


@pytest.mark.parametrize(("text", "cents"), [("12", 1200), ("12.50", 1250), ("-0.99", -99), ("0.00", 0)])
def test_amounts_are_read(text, cents):
    assert parse(text) == cents


@pytest.mark.parametrize("text", ["", "12.5", "1,50", "12.345", "twelve"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(AmountError):
        parse(text)


@pytest.mark.parametrize("cents", [0, 5, 99, 100, 1250, -99])
def test_writing_and_reading_are_inverse(cents):
    assert parse(euros(cents)) == cents


def test_no_cent_is_lost():
    assert split(1000, 3) == [334, 333, 333]
    assert sum(split(-1, 4)) == -1
