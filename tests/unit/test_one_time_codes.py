from datetime import UTC, datetime, timedelta

import pytest

from hubless.adapters.one_time_codes import PyotpCodes
from hubless.domain.second_factors import step_at
from tests.support.builders import NOW

codes = PyotpCodes()
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238, appendix B: "12345678901234567890"


@pytest.mark.parametrize(("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")])
def test_codes_are_those_of_the_standard(seconds, code):
    at = datetime.fromtimestamp(seconds, UTC)
    assert codes.step_of(SECRET, code, at) == step_at(at)


def test_a_code_of_the_neighbouring_steps_is_right_and_says_which():
    at, step = datetime.fromtimestamp(1111111109, UTC), timedelta(seconds=30)

    assert [codes.step_of(SECRET, "081804", at + n * step) for n in (-2, -1, 0, 1, 2)] == [
        None,
        *[step_at(at)] * 3,
        None,
    ]


def test_a_new_secret_has_160_bits_and_no_two_are_alike():
    one, other = codes.new_secret(), codes.new_secret()

    assert len(one) == 32
    assert one != other


def test_the_address_names_hub_and_account():
    address = codes.address(SECRET, account="zoë", issuer="Our hub: test")

    assert address.startswith("otpauth://totp/Our%20hub%3A%20test:zo%C3%AB?")
    assert f"secret={SECRET}" in address


def test_only_an_imported_secret_may_be_short():
    short = "GEZDGNBVGY3TQOJQ"  # 80 bits

    assert codes.step_of(short, "000000", NOW, is_imported=True) in {None, step_at(NOW)}
    with pytest.raises(ValueError, match="112 bits"):
        codes.step_of(short, "000000", NOW)
    with pytest.raises(ValueError, match="80 bits"):
        codes.step_of(short[:8], "000000", NOW, is_imported=True)
