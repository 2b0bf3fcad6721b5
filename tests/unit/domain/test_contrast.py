import pytest

from hubless.domain.contrast import contrast, mixed


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21),
        ("#ffffff", "#000000", 21),
        ("#123456", "#123456", 1),
        ("#777777", "#ffffff", 4.48),  # the best known pair below 4.5
        ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#ffffff", 4.00),
        ("#0000ff", "#ffffff", 8.59),
        ("#0a0a0a", "#000000", 1.06),  # the linear part of sRGB
    ],
)
def test_contrast_is_that_of_the_guidelines(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)


@pytest.mark.parametrize(("share", "result"), [(0, "#1864ab"), (1, "#000000"), (0.2, "#135089")])
def test_a_colour_takes_a_share_of_another(share: float, result: str) -> None:
    assert mixed("#1864ab", "#000000", share) == result
