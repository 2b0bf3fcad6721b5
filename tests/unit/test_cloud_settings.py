"""Settings of functions in the cloud: environment variables and the settings file."""

from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

import pytest

from hubless.adapters.alb.balancer import SPARE
from hubless.adapters.ec2.machine import Ec2Machine
from hubless.adapters.http_inspector import HttpInspector
from hubless.adapters.no_inspector import NoInspector
from hubless.bootstrap.cloud import CloudHub
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.metering import Metering
from hubless.domain.profiles import Profile
from hubless.settings import NEVER, SettingsError, parse
from hubless.settings.cloud import DEFAULTS, CloudSettings, cloud_settings, load, to_environment
from tests.support.builders import a_server, a_user

CLOUD = CloudSettings(
    url="https://hub.example.org",
    table="hub",
    queue="https://sqs/1/hub",
    secrets="/hub/secrets",
    cluster="hub",
    image="jupyter/minimal:1",
    bucket="launches",
    execution_role="arn:x:1",
    task_role="arn:x:2",
    subnets=("a", "b"),
    security_groups=("sg",),
    log_group="/hub",
)
NEEDED = [
    "url",
    "table",
    "queue",
    "secrets",
    "cluster",
    "image",
    "bucket",
    "execution_role",
    "task_role",
    "subnets",
    "security_groups",
]


class Secrets(dict):
    """Notes which secrets are read."""

    def __init__(self, **secrets):
        super().__init__(secrets)
        self.asked = []

    def __getitem__(self, name):
        self.asked.append(name)
        return super().__getitem__(name)

    def get(self, name, default=None):
        self.asked.append(name)
        return super().get(name, default)


@pytest.mark.parametrize(
    "cloud",
    [
        CLOUD,
        replace(
            CLOUD, public_addresses=True, capacity="spot-or-fargate", architecture="ARM64", cpus=2.0, memory=3 * 1024**3
        ),
        replace(
            CLOUD,
            image_caches=("quay.io=1.dkr.ecr/a", "public.ecr.aws=1.dkr.ecr/b"),
            launches_queue="https://sqs/1/launches",
            file_system="fs-1",
            role_boundary="arn:aws:iam::123456789012:policy/boundary",
            bucket_key="arn:kms",
            log_level="debug",
        ),
    ],
)
def test_functions_read_the_variables_that_a_deployment_writes(cloud):
    assert cloud_settings(to_environment(cloud)) == cloud


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_variable_is_named_with_its_type(name):
    environ = to_environment(CLOUD)
    del environ[f"HUBLESS_{name.upper()}"]

    with pytest.raises(SettingsError, match=rf"^HUBLESS_{name.upper()} is missing: it must be \w"):
        cloud_settings(environ)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("url", "hub.example.org", 'HUBLESS_URL is "hub.example.org", but it must be an address'),
        ("url", "https://hub.example.org/hub", "HUBLESS_URL is"),
        ("subnets", " , ", 'HUBLESS_SUBNETS is " , ", but it must be one or more strings with commas between them'),
        ("image_caches", "quay.io", 'HUBLESS_IMAGE_CACHES is "quay.io", but it must be REGISTRY=ADDRESS'),
        ("public_addresses", "yes", 'HUBLESS_PUBLIC_ADDRESSES is "yes", but it must be true or false'),
        ("capacity", "cheap", "HUBLESS_CAPACITY is"),
        ("cpus", "two", 'HUBLESS_CPUS is "two", but it must be a number of CPUs'),
        ("cpus", "0", 'HUBLESS_CPUS is "0", but it must be a number of CPUs'),
        ("memory", "lots", "HUBLESS_MEMORY is"),
        ("memory", "0.3", "HUBLESS_MEMORY is"),
        ("hub", "My Hub", 'HUBLESS_HUB is "My Hub", but it must be 1 to 32 of a-z'),
        ("alb_listener", "arn:listener", "HUBLESS_ALB_LISTENER and HUBLESS_ALB_VPC belong together"),
        ("alb_vpc", "vpc-1", "HUBLESS_ALB_LISTENER and HUBLESS_ALB_VPC belong together"),
        ("role_boundary", "arn:aws:iam::123456789012:policy/b", "HUBLESS_ROLE_BOUNDARY needs HUBLESS_FILE_SYSTEM"),
        ("economy_idle_minutes", "0", "HUBLESS_ECONOMY_IDLE_MINUTES is"),
        ("tabel", "hub", "There is no setting HUBLESS_TABEL. The settings are HUBLESS_URL, "),
    ],
)
def test_a_wrong_variable_is_named_with_the_allowed_values(name, text, said):
    with pytest.raises(SettingsError) as wrong:
        cloud_settings(to_environment(CLOUD) | {f"HUBLESS_{name.upper()}": text})

    assert str(wrong.value).startswith(said)


def test_the_hubs_address_is_the_deployments_unless_the_file_has_one(tmp_path):
    file = tmp_path / "hubless.toml"
    file.write_text('[hub]\npublic_url = "https://jupyter.example.org"')

    assert load(CLOUD, None, {}).hub.public_url == "https://hub.example.org"
    assert load(CLOUD, file, {}).hub.public_url == "https://jupyter.example.org"


def test_subdomains_are_the_deployments_unless_the_file_sets_them(tmp_path):
    own = cloud_settings(to_environment(CLOUD) | {"HUBLESS_SUBDOMAINS": "true"})
    file = tmp_path / "hubless.toml"
    file.write_text("[hub]\nsubdomains = false")

    assert load(own, None, {}).hub.subdomains
    assert not load(own, file, {}).hub.subdomains
    assert not load(CLOUD, None, {}).hub.subdomains


def test_timeouts_are_fargates_unless_the_file_sets_them(tmp_path):
    file = tmp_path / "hubless.toml"
    file.write_text('[servers]\nstart_timeout = "1h"')

    assert load(CLOUD, None, {}).servers.start_timeout == timedelta(minutes=3)
    assert load(CLOUD, file, {}).servers.start_timeout == timedelta(hours=1)
    assert load(CLOUD, file, {}).servers.launch_timeout == timedelta(minutes=10)


def test_an_error_names_the_file_and_the_key(tmp_path):
    file = tmp_path / "hubless.toml"
    file.write_text("servers = 3")

    with pytest.raises(SettingsError, match=r"hubless.toml: servers must be a table"):
        load(CLOUD, file, {})


def test_secrets_are_read_only_if_the_file_needs_them(tmp_path):
    file = tmp_path / "hubless.toml"
    file.write_text('[[services]]\nname = "culler"\ntoken_env = "CULLER_TOKEN"\n[login]\nkind = "shared-password"')
    none, some = (
        Secrets(),
        Secrets(CULLER_TOKEN="a culler's token", HUBLESS_SHARED_PASSWORD="all know it", key="k" * 40),
    )

    assert load(CLOUD, None, none).server_environment.keys() == {"PATH"}
    assert none.asked == []
    read = load(CLOUD, file, some)
    assert read.login.password == "all know it"
    assert "key" not in some.asked
    assert "all know it" not in repr(read) + str(read.server_environment)


def test_the_document_lists_every_variable():
    def default_of(field):
        default = field.metadata["default"]
        return "" if default is None else f"`{default}`" if default else "-"

    rows = [
        f"| `HUBLESS_{field.name.upper()}` | {field.metadata['kind'].allowed} "
        f"| {default_of(field)} | {field.metadata['meaning']} |"
        for field in fields(CloudSettings)
    ]
    text = (Path(__file__).parents[2] / "docs/cloud.md").read_text()

    assert "\n".join(rows) in text, "docs/cloud.md needs:\n" + "\n".join(rows)


# --- the hub that is made of them ---


def hub_of(cloud, text="", secrets=None):
    settings = parse(text, Path(), {}, defaults=DEFAULTS)
    return CloudHub(settings, cloud, "eu-central-1", {} if secrets is None else secrets)


def test_launches_cost_what_fargate_asks_for_the_size_that_it_has():
    owner, small = a_user(), Profile("small", cpus=0.3, memory_bytes=3 * 1024**3)
    assert hub_of(CLOUD).meter.of(small, owner) == Metering(500, 3072, 0, 40_480 // 2 + 4_445 * 3, "$")
    too_large = Profile("huge", cpus=300)
    assert hub_of(CLOUD).meter.of(too_large, owner).cpu_millis == 300_000  # its launch fails, and says why


@pytest.mark.parametrize("text", ["[usage]\nprice_per_cpu_hour = 1", '[hub]\ncurrency = "EUR "'])
def test_prices_of_the_settings_replace_fargates(text):
    metered = hub_of(CLOUD, text).meter.of(Profile("lab", cpus=2), a_user())
    assert metered.price_micros in {0, 2_000_000}
    assert metered.currency in {"EUR ", "$"}


@pytest.mark.parametrize(("wanted", "limit"), [(0, 95 - SPARE), (20, 20), (500, 95 - SPARE)])
def test_a_load_balancers_capacity_limits_active_servers(wanted, limit):
    cloud = replace(CLOUD, alb_listener="arn:listener", alb_vpc="vpc-1", alb_rules=95)
    hub = hub_of(cloud, f"[servers]\nactive_limit = {wanted}")

    assert hub.active_limit == limit
    assert hub.spawning.active_limit == hub.active_limit
    assert hub_of(CLOUD, f"[servers]\nactive_limit = {wanted}").active_limit == wanted


def test_limits_that_save_money_are_on_by_default():
    loaded = load(replace(CLOUD, active_limit=120), None, {})

    assert loaded.servers.active_limit == 120
    assert (loaded.culling.idle_after, loaded.culling.max_age) == (timedelta(hours=1), timedelta(days=3))
    assert loaded.servers.starts_per_hour
    assert loaded.servers.progress_streams


@pytest.mark.parametrize("off", ["never", ""])
def test_each_of_these_limits_can_be_turned_off(tmp_path, off):
    file = tmp_path / "hubless.toml"
    file.write_text(
        f'[servers]\nactive_limit = 0\nstarts_per_hour = 0\n[culling]\nidle_after = "{off}"\nmax_age = "{off}"\n'
    )
    loaded = load(replace(CLOUD, active_limit=120), file, {})
    hub = CloudHub(loaded, CLOUD, "eu-central-1", {})

    assert (hub.active_limit, hub.spawning.active_limit, hub.spawning.start_limit) == (0, 0, 0)
    assert {loaded.culling.idle_after, loaded.culling.max_age} <= {None, NEVER}


def test_a_limit_in_the_settings_replaces_the_stages(tmp_path):
    file = tmp_path / "hubless.toml"
    file.write_text('[servers]\nactive_limit = 7\n[culling]\nidle_after = "10m"\n')
    loaded = load(replace(CLOUD, active_limit=120), file, {})

    assert loaded.servers.active_limit == 7
    assert (loaded.culling.idle_after, loaded.culling.max_age) == (timedelta(minutes=10), timedelta(days=3))


def test_an_instance_makes_the_edge_stoppable():
    hub = hub_of(replace(CLOUD, economy_instance="i-1", economy_idle_minutes=3))

    assert isinstance(hub.edge_machine, Ec2Machine)
    assert (hub.edge_autosuspend.machine.can_stop, hub.edge_autosuspend.idle_timeout) == (True, timedelta(minutes=3))
    assert hub_of(CLOUD).edge_autosuspend.machine.can_stop is False


@pytest.mark.parametrize(
    ("subdomains", "origin"), [(False, "https://hub.example.org"), (True, "https://ada.hub.example.org")]
)
def test_servers_are_asked_for_their_work_where_browsers_reach_them(subdomains, origin):
    cloud = replace(CLOUD, subdomains=subdomains)
    hub = CloudHub(load(cloud, None, {}), cloud, "eu-central-1", {})

    assert hub.inspector.origin_of(a_server(), "/user/ada/lab/") == origin


def test_servers_reports_count_where_the_hub_sees_no_work():
    by_load_balancer = replace(CLOUD, alb_listener="arn:listener", alb_vpc="vpc-1")

    assert hub_of(CLOUD).activity.hub_sees_work
    assert not hub_of(by_load_balancer).activity.hub_sees_work
    hub = hub_of(CLOUD, "[culling]\nask_servers = false\ncount_busy = false")
    assert not hub.activity.hub_sees_work
    assert isinstance(hub.inspecting._inspector, NoInspector)
    assert not hub.inspecting._count_busy
    assert isinstance(hub_of(by_load_balancer).inspecting._inspector, HttpInspector)  # kernels are asked all the same


def test_an_economy_instance_and_a_load_balancer_are_refused():
    with pytest.raises(SettingsError, match="HUBLESS_ALB_LISTENER and HUBLESS_ECONOMY_INSTANCE are two edges"):
        cloud_settings(to_environment(replace(CLOUD, alb_listener="a", alb_vpc="v", economy_instance="i-1")))


@pytest.mark.parametrize("secrets", [{}, {"key": "short"}])
def test_a_missing_key_is_reported_with_its_parameter(secrets):
    with pytest.raises(
        StoreUnavailableError, match="The parameter /hub/secrets has no `key` of at least 32 characters"
    ):
        hub_of(CLOUD, secrets=secrets).key  # noqa: B018 asked for
