"""The bill, against figures that were calculated by hand."""

import json
import re
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from embedded.cli import main
from hubless.adapters.ecs import waiting_task
from hubless.domain.profile_options import Changes, Choice, ChoiceOption
from hubless.domain.profiles import Profile
from hubless.domain.spares import Warmth
from hubless.settings.cloud import profiles_in
from hubless.settings.stage import StageSettings
from operations.cost import report
from operations.cost.amounts import Amounts, Demand
from operations.cost.balancers import ALB, NLB, Load
from operations.cost.bill import Group, bill, free_of_cloudfront, goals, idle, nat_break_even
from operations.cost.demand import demand_of
from operations.cost.prices import known, parse
from operations.errors import OperationsError
from operations.spare_needs import needs_of

CLASS = Demand(users=200)
DOCUMENT = (Path(__file__).parents[3] / "docs/dynamodb.md").read_text()


def of(demand, **amounts):
    return bill(demand, known(), replace(Amounts(), **amounts))


def test_prices_are_exact():
    read = parse('as_of = 2026-01-02\nregion = "r"\n[lambda]\ngb = { usd = 0.0000133334, source = "s" }')

    assert read.usd("lambda.gb") == Decimal("0.0000133334")


def test_each_price_has_a_source_and_its_day_or_says_what_was_tried():
    for name, price in known().table.items():
        assert price.usd > 0, name
        assert price.is_sourced != bool(price.tried), name
        assert price.read is None or price.read <= known().as_of, name


def test_prices_without_a_source_are_named():
    assert [name for name, price in known().table.items() if not price.is_sourced] == ["eventbridge.million_events"]
    assert "no source confirms that of eventbridge.million_events" in report.text(CLASS, known(), Amounts())


def test_each_price_is_in_a_bill():
    """A price that changes no bill is not needed."""
    demands = [
        replace(CLASS, edge=edge, is_arm=arm, waf=True, snap_start=True, keys=1, spot=Decimal("0.5"))
        for edge in ("economy", "fleet", "alb")
        for arm in (True, False)
    ]
    demands += [replace(CLASS, egress="nat"), replace(CLASS, edge="fleet", direct=True)]
    for name, price in known().table.items():
        if name.startswith("ec2_hour."):
            continue  # one for each type of instance
        doubled = replace(known(), table=known().table | {name: replace(price, usd=price.usd * 2)})
        amounts = replace(Amounts(), dashboards=Decimal(1))
        assert any(bill(one, doubled, amounts) != bill(one, known(), amounts) for one in demands), name


def test_a_class_of_200_on_arm_costs_what_aws_calculates():
    bill_of_servers = of(CLASS)

    # 32,000 hours of 0.03238 + 4 times 0.00356 dollars, and of an address at half a cent.
    assert bill_of_servers.usd("Fargate") == Decimal("1491.84")
    assert bill_of_servers.usd("Addresses") == 160


@pytest.mark.parametrize(("users", "on_demand", "on_spot"), [(20, 202, 98), (200, 1695, 651), (2000, 16670, 6227)])
def test_totals_with_a_fleet_are_near_the_first_estimate(users, on_demand, on_spot):
    demand = Demand(users=users, edge="fleet", home_gb=Decimal(0))
    for spot, expected in ((0, on_demand), (1, on_spot)):
        made = of(replace(demand, spot=Decimal(spot)))
        left_out = made.usd("Edge addresses")  # by that estimate
        estimated = made.total(Group.CONTROL, Group.SERVERS) - left_out
        assert estimated == pytest.approx(expected, rel=Decimal("0.06"))


def test_a_nat_costs_hours_and_gigabytes_and_ends_public_addresses():
    made = of(replace(CLASS, edge="fleet", egress="nat"))

    # 730 hours of 4.5 cents, and of the gateway's own address at half a cent; 32,000 hours of 0.02 GB at 4.5 cents.
    assert (made.usd("NAT gateway"), made.usd("NAT data")) == (Decimal("36.5"), Decimal("28.8"))
    assert made.usd("Addresses") == made.usd("Edge addresses") == 0


def test_a_way_out_of_ones_own_costs_the_hub_nothing():
    made = of(replace(CLASS, egress="none"))

    assert not {line.part for line in made.lines} & {"Addresses", "NAT gateway", "NAT data"}


def test_a_nat_pays_from_41_to_56_users_on():
    def users(**amounts):
        return nat_break_even(CLASS, known(), replace(Amounts(), **amounts))

    hours = known().usd("nat.hour") * 730
    assert (hours / (160 * known().usd("ec2.ipv4_hour"))).to_integral_value() == 41  # by the gateway's hours alone
    assert users(nat_gb=Decimal(0)) == 46  # with its own address
    assert users() == 56  # with what servers download


def test_the_break_even_is_where_both_bills_meet():
    def total(users, egress):
        return of(Demand(users=users, egress=egress)).total()

    assert total(55, "public") < total(55, "nat")
    assert total(56, "public") >= total(56, "nat")


def test_half_of_the_hours_on_spot_cost_its_price():
    halves = of(replace(CLASS, spot=Decimal("0.5")))

    assert (halves.usd("Fargate"), halves.usd("Fargate Spot")) == (Decimal("745.92"), Decimal("223.776"))


def test_without_users_servers_and_traffic_cost_nothing():
    empty = idle(CLASS, known(), Amounts())

    assert empty.total(Group.TRAFFIC, Group.SERVERS) == 0
    assert empty.usd("Edge instance") == 0
    assert empty.usd("Edge disk") == Decimal("0.64")
    assert empty.usd("CloudWatch metrics") == Decimal("0.60")


def test_the_costs_of_an_edge_are_those_in_the_documents():
    """0.33 $ a month of polls and as much of heartbeats, each of an edge that is awake all the time."""
    one = Demand(users=0, edge="fleet", fleet=1)
    nothing = {"sweep_reads": Decimal(0), "sweep_writes": Decimal(0)}

    found = re.search(
        r"polling each second .*?\| (\d\.\d\d) \|\n(?:\|.*\n)*?\| a heartbeat each 5 seconds .*?\| (\d\.\d\d) \|",
        DOCUMENT,
    )

    assert of(one, **nothing).usd("DynamoDB").quantize(Decimal("0.01")) == Decimal(found[1]) + Decimal(found[2])


def test_the_costs_of_activity_are_those_in_the_documents():
    found = re.search(r"A hundred people at work 160 hours a month: .*, \$(\d\.\d\d)\.", DOCUMENT)
    with_reports, without = (of(Demand(users=100), edge_activity_seconds=Decimal(s)) for s in (60, 10**9))

    assert (with_reports.usd("DynamoDB") - without.usd("DynamoDB")).quantize(Decimal("0.01")) == Decimal(found[1])


def test_a_sweep_makes_the_requests_in_the_documents():
    found = re.search(r"\| a sweep of 0 running servers \| (\d+) \|", DOCUMENT)

    assert Amounts().sweep_reads + Amounts().sweep_writes == int(found[1])


def test_metrics_are_billed_by_the_hour():
    assert of(replace(CLASS, hours=Decimal(24), days=Decimal(31))).usd("CloudWatch metrics") == Decimal("3.30")


def test_reports_are_written_only_where_the_edge_sees_no_requests():
    nothing = {"edge_activity_write_units": Decimal(0)}
    balanced, by_haproxy = (of(replace(CLASS, edge=edge), **nothing) for edge in ("alb", "economy"))

    # Twelve reports an hour cost two write units each, in 32,000 hours; those of HAProxy's servers cost none.
    more = of(replace(CLASS, edge="alb"), activity_write_units=Decimal(4), **nothing)
    assert more.usd("DynamoDB") - balanced.usd("DynamoDB") == Decimal("0.48")
    assert of(CLASS, activity_write_units=Decimal(4), **nothing) == by_haproxy


def test_a_load_balancer_costs_the_same_without_users():
    empty = idle(Demand(users=20, edge="alb"), known(), Amounts())

    assert empty.usd("Load balancer (ALB)") == Decimal("16.425")
    assert not [line for line in empty.lines if line.part.startswith("Edge")]


def test_waf_and_snapshots_cost_only_if_they_are_on():
    parts = {line.part for line in of(CLASS).lines}
    more = {line.part for line in of(replace(CLASS, waf=True, snap_start=True)).lines}

    assert more - parts == {"WAF", "Lambda snapshots"}


def test_alarms_and_rules_are_those_of_the_stacks():
    assert of(CLASS).usd("CloudWatch alarms") == Decimal("0.70")  # seven metrics, one of the economy edge
    assert of(replace(CLASS, edge="fleet")).usd("CloudWatch alarms") == Decimal("0.80")
    assert of(replace(CLASS, watches_server_logs=True)).usd("CloudWatch alarms") == Decimal("0.80")
    asked = of(replace(CLASS, waf=True, users=0)).usd("WAF")
    assert asked == Decimal(7)  # a list and its two rules


def test_each_edge_of_a_fleet_has_a_public_address():
    two = of(replace(CLASS, edge="fleet", fleet=2))

    assert two.usd("Edge addresses") == 2 * 730 * Decimal("0.005")
    assert of(CLASS).usd("Edge addresses") == 0


@pytest.mark.parametrize("edge", ["fleet", "alb"])
def test_without_cloudfront_requests_to_servers_cost_nothing(edge):
    by_cloudfront, direct = (of(replace(CLASS, edge=edge, waf=True, direct=direct)) for direct in (False, True))

    assert by_cloudfront.usd("CloudFront to servers") > 5
    assert {line.part for line in direct.lines if line.part.startswith("CloudFront ")} == {"CloudFront to the hub"}
    assert direct.usd("Data out") == 320 * Decimal("0.09")
    assert direct.usd("Balancer addresses") == 2 * 730 * Decimal("0.005")
    assert direct.usd("WAF") < by_cloudfront.usd("WAF")  # it sees no requests to servers
    assert direct.usd("CloudFront to the hub") == by_cloudfront.usd("CloudFront to the hub")


def test_browsers_connections_cost_a_balancer_of_tls_more():
    many = {"server_gb": Decimal(0), "requests_a_connection": Decimal(10**9)}
    by_cloudfront, direct = (
        of(replace(CLASS, edge="fleet", users=20_000, direct=direct), **many).usd("Load balancer (NLB)")
        for direct in (False, True)
    )

    # 13,333 servers on average with six connections each: 26.7 units in 240 hours. Without TLS 0.4 for three each.
    hours = 730 * Decimal("0.0225")
    assert (direct - hours).quantize(Decimal("0.01")) == Decimal("38.40")
    assert (by_cloudfront - hours).quantize(Decimal("0.01")) == Decimal("0.58")


def test_each_way_between_zones_of_a_fleet_is_billed():
    assert of(replace(CLASS, edge="fleet")).usd("Between zones") == 2 * of(CLASS).usd("Between zones")


def test_the_free_tier_of_cloudfront_counts_what_passes_it():
    by_cloudfront, direct = (
        free_of_cloudfront(replace(CLASS, edge="fleet", direct=direct), known(), Amounts()) for direct in (False, True)
    )

    assert direct < 1 < by_cloudfront


def test_a_load_balancers_bill_names_what_its_own_users_cost():
    lectures = replace(CLASS, users=90, edge="alb")
    full = of(lectures)

    told = report.text(lectures, known(), Amounts())

    usd = (full.total(Group.CONTROL) + full.usd("CloudFront to servers")).quantize(Decimal("0.01"))
    assert f"JupyterLab's requests of these 90 users: ${usd}." in told
    assert [goal.at_most for goal in goals(lectures, known(), Amounts())] == [6]
    assert "of these" not in report.text(CLASS, known(), Amounts())


def test_the_free_tier_is_reported_but_not_subtracted():
    # 320 GB at 0.085, and ten million requests at a dollar a million.
    assert free_of_cloudfront(replace(CLASS, polls_less=False), known(), Amounts()) == Decimal("37.20")


def test_goals_are_always_for_200_users():
    few, many = (goals(replace(CLASS, users=users), known(), Amounts()) for users in (1, 5000))

    assert few == many
    assert [goal.at_most for goal in few] == [6, 20, 110]


def test_a_bill_says_why_a_goal_may_be_missed():
    def told(**changes):
        return report.text(replace(CLASS, **changes), known(), Amounts())

    assert "The goals are those of the economy edge." in told(edge="alb")
    assert "ask five times as often" in told(polls_less=False)
    assert "The goals are" not in told()
    assert "five times" not in told()


def test_a_bill_counts_rules_and_keys_in_words():
    line = {line.part: line.what for line in of(replace(CLASS, waf=True, keys=1)).lines}

    assert line["WAF"].startswith("2 rules, ")
    assert line["KMS"].startswith("1 key, ")
    assert "key" not in {line.part: line.what for line in of(CLASS).lines}["KMS"]


def test_the_columns_of_a_bill_stand_below_each_other():
    table = report.text(replace(CLASS, waf=True, keys=1, egress="nat"), known(), Amounts())

    rows = [line for line in table.splitlines() if re.match(r"  [A-Z]", line)]
    assert {re.search(r"\d\.\d\d(  |$)", row).end(0) for row in rows} == {40}


def test_goals_count_jupyterlabs_requests():
    full = of(CLASS)

    _, of_200, _ = goals(CLASS, known(), Amounts())

    assert of_200.usd == full.total(Group.CONTROL) + full.usd("CloudFront to servers")


def test_tabs_of_images_without_the_extension_ask_five_times_as_often():
    with_it, without = of(CLASS), of(replace(CLASS, polls_less=False))

    assert without.usd("CloudFront to servers") > 5 * with_it.usd("CloudFront to servers")


def test_a_visible_tab_without_the_extension_costs_what_was_measured():
    visible = {"used_share": Decimal(1), "untouched_share": Decimal(0), "work_requests": Decimal(0)}

    # 32,000 hours of 60 minutes of 38.5 requests, at $1.10 a million with the function that looks at each.
    assert of(replace(CLASS, polls_less=False), **visible).usd("CloudFront to servers") == Decimal("81.312")


# --- what a unit of a load balancer serves ---


@pytest.mark.parametrize(
    ("load", "units"),
    [
        (Load(new_connections=Decimal(50)), 2),
        (Load(open_connections=Decimal(9_000)), 3),
        (Load(gb=Decimal(4)), 4),
        (Load(requests=Decimal(100), rules=Decimal(60)), 5),  # ten rules are free
        (Load(requests=Decimal(100), rules=Decimal(10)), 0),
        (Load(new_connections=Decimal(50), open_connections=Decimal(9_000), gb=Decimal(1)), 3),  # the most counts
    ],
)
def test_an_alb_is_billed_by_the_dimension_that_it_uses_most(load, units):
    assert ALB.hours(load, Decimal(10)) == 10 * units


def test_an_nlb_has_no_rules():
    assert NLB.hours(Load(requests=Decimal(10_000), rules=Decimal(100), gb=Decimal(2)), Decimal(1)) == 2


def test_rules_of_many_servers_make_an_alb_cost_more():
    lectures = Demand(users=90, edge="alb", hours=Decimal(2), polls_less=False)

    few = of(lectures, server_gb=Decimal(0), connections_a_server=Decimal(0), requests_a_connection=Decimal(10**9))

    # 30 servers on average; 10.2 requests a second look at 15 rules, of which ten are free.
    assert few.usd("Load balancer (ALB)") > Decimal("16.425")


def test_homes_are_backed_up_if_the_stage_keeps_data():
    assert of(CLASS).usd("Backups of homes") == 200 * 2 * Decimal("0.05")
    assert of(replace(CLASS, backs_up_homes=False)).usd("Backups of homes") == 0


def test_own_keys_are_billed_with_their_calls():
    assert of(replace(CLASS, keys=2)).usd("KMS") - of(CLASS).usd("KMS") == 2


def test_an_instance_type_without_a_price_is_named():
    with pytest.raises(OperationsError, match=r"price of m7g\.large"):
        report.require_prices(replace(CLASS, instance_type="m7g.large"), known())


def test_options_that_are_not_given_come_from_the_stage():
    stage = StageSettings(
        region="eu-central-1", edge="fleet", cpus=2.0, memory=8 * 1024**3, capacity="spot", architecture="X86_64"
    )

    demand = demand_of(7, {"vcpu": Decimal(4), "edge": None, "memory": None}, stage)

    assert demand == Demand(
        users=7,
        edge="fleet",
        vcpus=Decimal(4),
        memory_gb=Decimal(8),
        spot=Decimal(1),
        is_arm=False,
        fleet=stage.fleet_least,
        has_zone=False,
    )


def test_a_stage_with_an_image_of_its_own_lacks_the_extension():
    own = StageSettings(region="eu-central-1", image="quay.io/jupyter/scipy-notebook:2026-11-02", vpc_id="vpc-1")

    demand = demand_of(7, {}, own)

    assert (demand.polls_less, demand.watches_server_logs, demand.logs_flows) == (False, True, False)


def test_each_amount_changes_the_bill():
    """An amount that changes no bill is not needed."""
    demand = Demand(users=200, waf=True, snap_start=True, watches_server_logs=True, spare_hours=Decimal(730))
    demands = [replace(demand, edge=edge, polls_less=less) for edge in ("fleet", "economy") for less in (True, False)]
    demands += [replace(demand, egress="nat"), replace(demand, edge="fleet", direct=True)]
    lectures = Demand(users=90, edge="alb", hours=Decimal(2))
    for field in fields(Amounts):
        more = {field.name: getattr(Amounts(), field.name) * 2 + 1}
        # Bytes dominate the units of these hubs' balancers; connections would where they are very many.
        loaded = {
            "requests_a_connection": {"requests_a_connection": Decimal("0.001")},
            "connections_a_server": {"connections_a_server": Decimal(10_000)},
            "direct_connections_a_server": {"direct_connections_a_server": Decimal(10_000)},
        }.get(field.name, more)
        assert any(of(one, **loaded) != of(one) for one in [*demands, lectures]), field.name


A_SPARE_A_MONTH = Decimal(730)
WARM = """
[stages.prod]
region = "eu-central-1"
homes = false
[[profiles]]
name = "lab"
warm = 2
[[profiles]]
name = "big"
cpus = 2
memory = "4G"
warm = 3
warm_hours = { days = ["monday", "friday"], begins = "08:00", ends = "18:00", timezone = "Europe/Berlin" }
"""


def test_spares_cost_their_hours_and_their_questions_without_users_too():
    assert Amounts().spare_pause == waiting_task.PAUSE
    settings = StageSettings(region="eu-central-1", homes=False)
    profiles = [Profile("lab", warmth=Warmth(2)), Profile("cold")]
    demand, cold = demand_of(0, {}, settings, profiles), demand_of(0, {}, settings)

    made, empty = bill(demand, known(), Amounts()), bill(cold, known(), Amounts())

    # 0.5 vCPU and 2 GB, each for 730 hours, twice
    assert made.usd("Spares (warm)") == 2 * A_SPARE_A_MONTH * (
        known().usd("fargate.arm_vcpu_hour") / 2 + known().usd("fargate.arm_gb_hour") * 2
    )
    assert made.usd("Addresses") == 2 * A_SPARE_A_MONTH * known().usd("ec2.ipv4_hour")
    assert made.usd("API Gateway") - empty.usd("API Gateway") == known().of_million(
        "api_gateway.million_http", 2 * A_SPARE_A_MONTH * 1200
    )
    logged = 2 * A_SPARE_A_MONTH * 1200 * Amounts().request_log_gb
    kept = known().usd("cloudwatch.gb_logged") + known().usd("cloudwatch.gb_kept")
    assert made.usd("CloudWatch logs") - empty.usd("CloudWatch logs") == logged * kept
    assert goals(demand, known(), Amounts()) == goals(cold, known(), Amounts())


def test_spares_cost_what_whoever_chooses_nothing_starts():
    large = ChoiceOption("size", (Choice("large", changes=Changes(cpus=4)), Choice("small")))

    needs = needs_of([Profile("lab", warmth=Warmth(2), options=(large,))], StageSettings(region="eu-central-1"))

    assert needs.vcpus == 8


def test_spares_count_by_their_hours_of_a_week(tmp_path):
    (tmp_path / "hubless.toml").write_text(WARM)
    settings = StageSettings(region="eu-central-1", homes=False)

    needs = needs_of(profiles_in(tmp_path / "hubless.toml"), settings)

    hours_of_big = 3 * Decimal(20) * 730 / 168
    assert (needs.count, needs.vcpus) == (5, Decimal(7))
    assert needs.hours == pytest.approx(2 * 730 + hours_of_big)
    assert needs.vcpu_hours == pytest.approx(730 + 2 * hours_of_big)
    assert needs.gb_hours == pytest.approx(4 * 730 + 4 * hours_of_big)
    answer = CliRunner().invoke(
        main, ["cost", "--users", "0", "--stage", "prod", "--settings", str(tmp_path / "hubless.toml")]
    )
    assert "hours of tasks that wait" in answer.output


def test_the_command_prints_a_table():
    answer = CliRunner().invoke(main, ["cost", "--users", "200", "--hours", "8", "--memory", "4G"])

    assert answer.exit_code == 0, answer.output
    assert "32,000 hours of 1 vCPU, 4 GB, arm" in answer.output
    assert "Goal, a month without users:" in answer.output


def test_the_command_prints_json():
    answer = CliRunner().invoke(main, ["cost", "--users", "20", "--spot", "100", "--edge", "fleet", "--json"])

    received = json.loads(answer.output)
    assert sum(Decimal(line["usd"]) for line in received["lines"]) == pytest.approx(
        Decimal(received["totals"]["all"]), abs=Decimal("0.2")
    )


@pytest.mark.parametrize(
    "wrong", [["--hours", "many"], ["--hours", "-1"], ["--hours", "nan"], ["--memory", "4X"], ["--edge", "none"]]
)
def test_impossible_values_are_refused(wrong):
    answer = CliRunner().invoke(main, ["cost", "--users", "1", *wrong])

    assert answer.exit_code == 2
    assert wrong[0] in answer.output


def test_direct_hosts_need_an_edge_that_browsers_reach():
    answer = CliRunner().invoke(main, ["cost", "--users", "1", "--direct-hosts"])

    assert answer.exit_code == 1
    assert "--direct-hosts needs --edge fleet or alb" in answer.output


def test_the_documents_have_the_figures_of_direct_hosts():
    page = (Path(__file__).parents[3] / "docs/edge.md").read_text()
    many = replace(CLASS, users=2_000)
    demands = [replace(many, edge="fleet", direct=True), replace(many, edge="fleet"), many]

    told = [f"{goal.usd:.0f}" for one in demands for goal in goals(one, known(), Amounts())[2:]]

    sentence = (
        "the control plane and JupyterLab's requests cost ${} a month with it, ${} without, and ${} with `economy`"
    )
    assert sentence.format(*told) in " ".join(page.split())


def test_the_documents_have_the_figures_of_the_goals():
    page = (Path(__file__).parents[3] / "docs/operations.md").read_text()
    told = [Decimal(figure) for figure in re.findall(r"\| \$\d+ \| \$(\d+\.\d+) \|", page)]
    with_it, without = (of(replace(CLASS, polls_less=less)).usd("CloudFront to servers") for less in (True, False))

    assert told == [goal.usd.quantize(Decimal("0.1")) for goal in goals(CLASS, known(), Amounts())]
    assert f"JupyterLab's requests cost ${with_it:.0f} of" in page
    assert f"and ${without:.0f} with images" in page
