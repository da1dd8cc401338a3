import pytest

from gan_forensics.nn.tails import ANTIALIASED, TAILS, parse_tail


def test_there_are_thirteen_tails_and_every_name_is_parsed():
    assert len(set(TAILS)) == 13
    assert parse_tail("BASELINE") == ("transposed", 1, 4)
    assert parse_tail("N.1.7") == ("nearest", 1, 7)
    assert parse_tail("Z.1.3") == ("zero", 1, 3)
    assert parse_tail("B.3.5") == ("bilinear", 3, 5)
    assert parse_tail("A.1.5") == ("binomial", 1, 5)
    assert parse_tail("K.1.5") == ("kaiser", 1, 5)
    assert len({parse_tail(name) for name in (*TAILS, *ANTIALIASED)}) == 15


@pytest.mark.parametrize(
    ("wrong", "meant"), [("baseline", "BASELINE"), ("N15", "N.1.5"), ("b.3.5", "B.3.5")]
)
def test_unknown_tail_is_answered_with_the_closest_and_with_all(wrong, meant):
    with pytest.raises(ValueError, match=f"did you mean '{meant}'") as caught:
        parse_tail(wrong)
    assert all(name in str(caught.value) for name in (*TAILS, *ANTIALIASED))


@pytest.mark.parametrize("wrong", ["N.2.5", "N.3.3", "A.1.3", "", None])
def test_names_outside_the_table_are_no_tails(wrong):
    with pytest.raises(ValueError, match="unknown tail"):
        parse_tail(wrong)
