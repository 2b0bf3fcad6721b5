"""Settings of `[stages.NAME]`: each error stops a deployment and names the key."""

from pathlib import Path

import pytest

from hubless.settings import SettingsError, parse
from hubless.settings.stage import Stage, StageSettings, load_stage, load_stages
from tests.unit.test_settings import table_of

ROOT = Path(__file__).parents[2]
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-4e5f-6789-abcd-ef0123456789"
HERE = "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b2c3d"
ELSEWHERE = HERE.replace("central", "west")
ZONE = 'domain = "hub.example.org"\nzone_id = "Z0123456789"\nzone_name = "example.org"\n'
CERTIFIED = f'domain = "hub.example.org"\ncertificate = "{HERE.replace("eu-central", "us-east")}"\n'
OWN_VPC = """
vpc_id = "vpc-1"
zones = ["eu-central-1a", "eu-central-1b"]
public_subnets = ["subnet-1", "subnet-2"]
private_subnets = ["subnet-3", "subnet-4"]
"""


@pytest.fixture
def stage_of(tmp_path):
    def read(keys: str = "", name: str = "prod", *, chosen: str = "") -> Stage:
        file = tmp_path / "hubless.toml"
        file.write_text(f'[stages.{name}]\nregion = "eu-central-1"\n{keys}\n')
        return load_stage(file, chosen)

    return read


class TestAStage:
    @pytest.mark.parametrize("keys", ["waf = true", "access_logs = true"])
    def test_has_stacks_in_us_east_1_for_what_cloudfront_takes_from_there(self, stage_of, keys) -> None:
        assert stage_of(keys).regions == ("eu-central-1", "us-east-1")
        assert stage_of().regions == ("eu-central-1",)

    def test_needs_no_more_than_a_region(self, stage_of) -> None:
        stage = stage_of()

        assert (stage.name, stage.hub, stage.settings) == ("prod", "hubless-prod", StageSettings(region="eu-central-1"))
        assert not stage.has_subdomains

    def test_gives_users_subdomains_if_it_has_a_domain(self, stage_of) -> None:
        domain = 'domain = "hub.example.org"\nzone_id = "Z0123456789"\nzone_name = "example.org"'

        assert stage_of(domain).has_subdomains
        assert not stage_of(domain + "\nsubdomains = false").has_subdomains

    def test_has_a_budget_if_somebody_gets_its_mail(self, stage_of) -> None:
        mail = 'alarm_email = "ops@example.org"'

        assert stage_of(mail).has_budget
        assert stage_of(mail).settings.monthly_budget == 100
        assert not stage_of().has_budget
        assert not stage_of(mail + "\nmonthly_budget = 0").has_budget

    def test_limits_active_servers_to_those_that_it_expects(self, stage_of) -> None:
        assert stage_of().active_limit == 100
        assert stage_of("expected_servers = 300").active_limit == 300

    def test_may_use_an_existing_vpc(self, stage_of) -> None:
        assert stage_of(OWN_VPC).settings.private_subnets == ("subnet-3", "subnet-4")

    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ('egress = "none"', '.egress = "none" needs vpc_id'),
            ("task_roles = true\nhomes = false", "stages.prod.task_roles needs homes"),
            ("session_manager = true", ".session_manager needs"),
            ('session_manager = true\nedge = "fleet"\negress = "nat"', ".session_manager needs"),
            ("colour = 1", "stages.prod.colour is not a setting"),
            ("edges = 1", "stages.prod.edges is not a setting; did you mean stages.prod.edge?"),
            ('edge = "huge"', 'stages.prod.edge is "huge", but it must be "economy", "fleet" or "alb"'),
            (
                "account = 123456789012",
                "stages.prod.account is 123456789012, but it must be the 12 digits of an account",
            ),
            (
                'domain = "hub_1.example.org"',
                'stages.prod.domain is "hub_1.example.org", but it must be a domain such as',
            ),
            ('domain = "localhost"', "stages.prod.domain is"),
            ('domain = "hub.example.org"', "stages.prod.domain needs zone_id"),
            ('zone_id = "Z0123"', "stages.prod.domain is missing"),
            (
                'domain = "hub.example.org"\nzone_id = "Z0123"\nzone_name = "ample.org"',
                'is not in the zone "ample.org"',
            ),
            (
                'domain = "a.b"\ncertificate = "arn:aws:acm:eu-west-1:123456789012:certificate/1"',
                "the ARN of a certificate in us-east-1",
            ),
            ('instance_type = "t3.nano"', "a type of instance with Graviton"),
            ("sleep_after = 0", "stages.prod.sleep_after is 0, but it must be an integer from 2 to 1440"),
            ('domain = "hub.1"\nzone_id = "Z0123"', '.domain "hub.1" is too long for subdomains'),
            ("fleet_least = 9", "stages.prod.fleet_least is 9, but it must be at most fleet_most, which is 6"),
            ('network = "8.8.0.0/16"', "a private network from /16 to /22"),
            ('network = "10.0.0.0/28"', "a private network from /16 to /22"),
            ('network = "10.0.0.1/16"', "has host bits set"),
            ('vpc_id = "vpc-1"', "belong together: set all or none"),
            (OWN_VPC.replace('"subnet-1", ', ""), "must have the same number of entries"),
            (OWN_VPC.replace("subnet-2", "subnet-1"), "public_subnets is"),
            (
                'edge = "fleet"'
                + OWN_VPC.replace('"eu-central-1a", ', "").replace('"subnet-1", ', "").replace('"subnet-3", ', ""),
                "at least two entries",
            ),
            ('zones = ["a"]', 'a list of zones such as "eu-central-1a"'),
            ('edge = "alb"\nzones = ["eu-central-1a"]', "at least two entries"),
            ("cpus = 0", "stages.prod.cpus is 0, but it must be a number of CPUs such as 0.5 or 2"),
            ('memory = ""', 'stages.prod.memory is "", but it must be a size'),
            ("monthly_budget = 100", "stages.prod.monthly_budget needs alarm_email"),
            ('kms_key = "alias/hub"', '"own", the ARN of a KMS key of one region'),
            (
                'kms_key = "arn:aws:kms:eu-central-1:123456789012:key/mrk-0a1b2c3d4e5f67890a1b2c3d4e5f6789"',
                "the ARN of a KMS key of one region",
            ),
            (f'kms_key = "{KEY.replace("central", "west")}"', ".kms_key must be in the region eu-central-1"),
            (f'kms_key = "{KEY}"\naccount = "210987654321"', "in the account that the stage names"),
            ('flow_logs = "some"', 'it must be "refused" or "all"'),
            (OWN_VPC + '\nflow_logs = "all"', ".flow_logs has an effect only on a new VPC"),
            ("direct_hosts = true", ".direct_hosts needs domain and subdomains"),
            (f"{ZONE}direct_hosts = true\nsubdomains = false", ".direct_hosts needs domain and subdomains"),
            (f"{ZONE}direct_hosts = true", '.direct_hosts needs edge = "fleet" or "alb"'),
            (
                f'{ZONE}direct_hosts = true\nedge = "alb"\naccess_logs = true',
                '.access_logs and direct_hosts exclude each other with edge = "alb"',
            ),
            (
                f'{ZONE}direct_hosts = true\nedge = "fleet"\negress = "nat"\n{OWN_VPC}',
                '.direct_hosts with vpc_id needs egress = "public"',
            ),
            (
                f'{CERTIFIED}direct_hosts = true\nedge = "fleet"',
                "needs direct_certificate, a certificate for *.hub.example.org",
            ),
            (f'{CERTIFIED}direct_certificate = "{HERE}"', ".direct_certificate has an effect only with direct_hosts"),
            (
                f'{ZONE}direct_hosts = true\nedge = "fleet"\ndirect_certificate = "{HERE}"',
                ".direct_certificate has an effect only with direct_hosts and certificate",
            ),
            (
                f'{CERTIFIED}direct_hosts = true\nedge = "fleet"\ndirect_certificate = "{ELSEWHERE}"',
                ".direct_certificate must be in the region eu-central-1",
            ),
            ("log_days = 31", "stages.prod.log_days is 31, but it must be one of 1, 3, 5"),
        ],
    )
    def test_that_is_wrong_is_refused_by_key(self, stage_of, keys: str, message: str) -> None:
        with pytest.raises(SettingsError) as refused:
            stage_of(keys)

        assert message in str(refused.value)
        assert "hubless.toml: " in str(refused.value)

    @pytest.mark.parametrize("edge", ["fleet", "alb"])
    def test_may_have_hosts_that_browsers_reach_directly(self, stage_of, edge: str) -> None:
        by_zone = stage_of(f'{ZONE}direct_hosts = true\nedge = "{edge}"\negress = "nat"')
        by_certificate = stage_of(f'{CERTIFIED}direct_hosts = true\nedge = "{edge}"\ndirect_certificate = "{HERE}"')

        assert by_zone.has_direct_hosts
        assert by_certificate.settings.direct_certificate == HERE

    @pytest.mark.parametrize("name", ["Prod", "a_b", '"a.b"', "x" * 25, "a--b"])
    def test_has_a_name_that_is_valid_in_aws(self, stage_of, name: str) -> None:
        with pytest.raises(SettingsError, match="a stage's name must have 1 to 24"):
            stage_of(name=name)


class TestChoosing:
    def test_is_not_needed_where_there_is_one(self, stage_of) -> None:
        assert stage_of(name="test").name == "test"

    def test_says_which_there_are(self, tmp_path) -> None:
        file = tmp_path / "hubless.toml"
        file.write_text('[stages.a]\nregion = "eu-west-1"\n[stages.b]\nregion = "eu-west-1"\n')

        assert load_stage(file, "b").name == "b"
        with pytest.raises(SettingsError, match="has several stages: choose one of a, b"):
            load_stage(file)
        with pytest.raises(SettingsError, match=r"has no \[stages.c\]: choose one of a, b"):
            load_stage(file, "c")

    def test_says_what_is_missing_where_there_is_none(self) -> None:
        with pytest.raises(SettingsError, match=r"hubless.toml has no \[stages.NAME\], which says what to deploy"):
            load_stage(None)

    def test_notices_a_file_that_cannot_be_read(self, tmp_path) -> None:
        with pytest.raises(SettingsError, match="Cannot read "):
            load_stages(tmp_path / "none.toml")


def test_a_hub_on_one_machine_ignores_stages() -> None:
    assert parse('[stages.prod]\nregion = "x"', ROOT).services == ()


def test_the_documentation_has_every_key() -> None:
    assert table_of(StageSettings) in (ROOT / "docs" / "deploy.md").read_text(), table_of(StageSettings)
