from hubless.adapters.ecs.prices import CPU_HOUR, GB_HOUR, tariff_of
from hubless.domain.tariffs import Tariff
from operations.cost.prices import known


def test_prices_of_fargate_are_those_of_the_price_table():
    prices = known()
    for architecture, name in (("X86_64", "x86"), ("ARM64", "arm")):
        assert CPU_HOUR[architecture] == prices.usd(f"fargate.{name}_vcpu_hour")
        assert GB_HOUR[architecture] == prices.usd(f"fargate.{name}_gb_hour")
    assert tariff_of("ARM64", "$") == Tariff(32_380, 3_560, 0, "$")
