"""What nothing else brings over: a comment for each, with the reason where it is known."""

from collections.abc import Mapping

from embedded.settings_import.draft import Draft
from embedded.settings_import.old_settings import OldSettings, Traits

_PROXY = ("hub", "the hub's own proxy needs no such setting", "")
_PROCESS = ("hub", "the hub has no process of its own for this, or does it by itself", "")
_KEYS = ("hub", "this hub makes its own keys", "")
_TLS = ("hub", "a proxy in front of the hub does TLS", "Set hub.public_url and hub.trusted_proxies.")
_PAGES = ("hub", "the pages have no templates of your own", "Set hub.name.")
_WAYS = ("hub", "the hub itself decides which page follows a login", "")
_SPAWNER = ("servers", "only the old spawner has such a setting", "")
_MACHINE = (
    "login",
    "a login makes no account of the machine",
    "See servers.run_as_system_users and servers.uid_range.",
)
_PODS = (
    "servers",
    "the hub starts no pods",
    "In AWS see the stage's settings and the profile's image (docs/cloud.md).",
)
_NETWORK = ("servers", "it belongs to Kubernetes", "In AWS the stage's security groups take its place.")
_CHART = ("other", "it belongs to Kubernetes and Helm", "")
_IMAGE_LOGIN = ("other", "the hub pulls no images by itself", "Let the machine or ECS have the rights.")
_ENVIRONMENT = ("other", "it is the environment of the old hub", "Set what this hub needs in its own environment.")
_HOOK = ("servers", "the hub runs no hooks", "Put what it does into the image, or into the profile's command.")
_VOLUME = (
    "servers",
    "a user's files are in one home",
    "See servers.homes, servers.sandbox_read and servers.sandbox_write; in AWS the stage's file system.",
)
_DATABASE = (
    "hub",
    "the hub has a store of its own",
    "Give the old database to `hubless import`, which brings its users and tokens.",
)
_TOKENS = (
    "services",
    "tokens in settings belong to services",
    "`hubless import` brings tokens of the database; give others a new one with `hubless token`.",
)
_REASONS: Mapping[str, tuple[str, str, str]] = {
    **dict.fromkeys(("db_url", "db_kwargs", "upgrade_db", "data_files_path"), _DATABASE),
    **dict.fromkeys(("api_tokens", "service_tokens"), _TOKENS),
    **dict.fromkeys(("cookie_secret", "cookie_secret_file", "internal_certs_location"), _KEYS),
    **dict.fromkeys(("ssl_key", "ssl_cert", "internal_ssl", "trusted_alt_names"), _TLS),
    **dict.fromkeys(
        ("template_paths", "logo_file"),
        _PAGES,
    ),
    **dict.fromkeys(("proxy.https", "ingress"), _TLS),
    **dict.fromkeys(("default_server_name", "redirect_to_server", "implicit_spawn_seconds", "default_url"), _WAYS),
    **dict.fromkeys(
        ("extra_handlers", "tornado_settings", "user_redirect_hook"), ("hub", "the hub is another program", "")
    ),
    **dict.fromkeys(
        (
            *("hub_ip", "hub_port", "hub_bind_url", "hub_connect_url", "hub_connect_ip", "concurrent_spawn_limit"),
            *("hub_connect_port", "spawn_throttle_retry_range", "init_spawners_timeout", "cleanup_proxy", "pid_file"),
            *("last_activity_interval", "activity_resolution", "service_check_interval", "proxy_check_interval"),
            *("consecutive_failure_limit", "active_user_window", "statsd_host", "authenticate_prometheus"),
        ),
        _PROCESS,
    ),
    **dict.fromkeys(("proxy_class", "proxy_auth_token", "proxy_api_ip", "proxy_api_port", "proxy_cmd"), _PROXY),
    **dict.fromkeys(
        (
            "pre_spawn_hook",
            "post_stop_hook",
            "auth_state_hook",
            "options_form",
            "options_from_form",
            "progress_ready_hook",
        ),
        _HOOK,
    ),
    **dict.fromkeys(
        (
            *("volumes", "volume_mounts", "notebook_dir", "pvc_name_template", "storage_pvc_ensure", "storage_class"),
            *("storage_capacity", "user_workingdir", "read_only_volumes", "working_dir", "homedir"),
        ),
        _VOLUME,
    ),
    **dict.fromkeys(
        ("mem_guarantee", "cpu_guarantee", "extra_resource_guarantees"),
        ("profiles", "the hub holds limits and reserves nothing", "In AWS a task has what the limit says."),
    ),
    **dict.fromkeys(("create_system_users", "add_user_cmd", "uids", "create_users"), _MACHINE),
    **dict.fromkeys(
        (
            *("singleuser.nodeSelector", "singleuser.extraTolerations", "singleuser.uid"),
            *(
                "singleuser.extraPodConfig",
                "singleuser.extraContainers",
                "singleuser.initContainers",
                "singleuser.fsGid",
            ),
            *("singleuser.extraNodeAffinity", "singleuser.serviceAccountName", "singleuser.extraLabels"),
            *("singleuser.allowPrivilegeEscalation", "node_selector", "tolerations", "extra_resource_limits"),
            *(
                "singleuser.extraAnnotations",
                "service_account",
                "extra_containers",
                "init_containers",
                "extra_pod_config",
            ),
        ),
        _PODS,
    ),
    **dict.fromkeys(("singleuser.networkPolicy", "singleuser.cloudMetadata", "hub.networkPolicy"), _NETWORK),
    **dict.fromkeys(
        (
            *("scheduling", "prePuller", "rbac", "global", "fullnameOverride", "nameOverride", "hub.extraVolumes"),
            *("hub.extraVolumeMounts", "hub.resources", "hub.image", "hub.service", "hub.initContainers", "hub.labels"),
            *("hub.nodeSelector", "hub.tolerations", "hub.pdb", "hub.annotations", "hub.extraContainers"),
        ),
        _CHART,
    ),
    **dict.fromkeys(("imagePullSecret", "imagePullSecrets", "singleuser.image.pullSecrets"), _IMAGE_LOGIN),
    **dict.fromkeys(("singleuser.image.pullPolicy", "singleuser.imagePullSecret"), _IMAGE_LOGIN),
    **dict.fromkeys(("singleuser.lifecycleHooks", "lifecycle_hooks"), _HOOK),
    "singleuser.extraFiles": ("servers", "the hub puts no files into servers", "Put them into the image or the home."),
    **dict.fromkeys(("hub.extraEnv", "hub.extraConfigMap"), _ENVIRONMENT),
    "hub.existingSecret": ("other", "secrets are variables here", "Take the values of the variables above from it."),
    "keys": (
        "login",
        "this hub has keys of its own",
        "Name the variable with them to `hubless import --crypt-key-env`.",
    ),
    "delete_invalid_users": ("login", "a user goes only if somebody removes it", "Use `hubless user remove NAME`."),
    "username_map": ("login", "a user has one name", "Imported users have the new names: let people log in by them."),
    "any_allow_config": ("login", "the hub checks by itself whether anybody may log in", "Run `hubless check`."),
    "enable_auth_state": ("login", "there is no provider whose facts the hub could keep", ""),
    "env_keep": ("profiles", "servers get few of the hub's variables", "Name others in the profile's environment."),
    "oauth_client_allowed_scopes": ("roles", "a server's token has the role `server`", "See [[roles]]."),
    "traefik_api": _PROXY,
    "home_dir_template": (
        "servers",
        "homes are folders named by the user's id",
        "See `hubless import --homes`.",
    ),
    "notebook_dir": _VOLUME,
    "admin_access": ("roles", "a role says who may enter servers", 'Give a role the scope "access:servers".'),
    "extra_user_groups": ("groups", "it names groups of the operating system", "For the hub's groups see [groups]."),
    "shutdown_on_logout": ("culling", "a logout stops no server", "Set culling.idle_after."),
}
_CODE = ("other", "it is Python", "Save it as jupyterhub_config.py, and import that file with --run-config.")
_OTHER = ("other", "it has no counterpart", "")
_LOGIN = ("login", "only the old authenticator has such a setting", "")
_SPAWNERS: tuple[tuple[str, tuple[str, str, str]], ...] = (
    (
        "Docker",
        (
            "servers",
            "the hub starts no containers on a machine",
            "See servers.isolation; in AWS a server is a container of the profile's image (docs/images.md).",
        ),
    ),
    ("Kube", _PODS),
    (
        "Systemd",
        (
            "servers",
            "the hub starts servers itself",
            "See servers.isolation, servers.sandbox_read and servers.max_processes.",
        ),
    ),
    ("Sudo", ("servers", "the hub starts servers itself", "See servers.run_as_system_users.")),
)
_BATCH = ("servers", "the hub submits no jobs to a cluster", "It starts servers on its own machine, or in AWS.")
_BATCH_CLASSES = frozenset(
    f"{one}Spawner" for one in ("Slurm", "Torque", "Moab", "GridEngine", "Condor", "Lsf", "UserEnvMoab", "PBS")
) | {"BatchSpawnerBase", "BatchSpawnerRegexStates"}
_NOT_USED = ("other", "the old settings do not use its class", "")


def bring(old: OldSettings, traits: Traits, draft: Draft) -> None:
    """Say of all that is left that it is not brought over."""
    for name in traits.classes():
        for trait, found in traits.take_all(name).items():
            if found.value in ("", [], {}):
                continue  # as if it were not there
            section, why, to_do = _REASONS.get(trait) or _reason_of_class(name, is_used=traits.is_used(name))
            draft.leave_out(section, found.label, found.value, why, to_do)
    for remark in old.remarks:
        draft.say("other", " ".join(filter(None, [f"{remark.label}: {remark.what}.", remark.to_do])))


def _reason_of_class(name: str, *, is_used: bool) -> tuple[str, str, str]:
    if name.endswith(("Proxy", "ProxyManager")):
        return _PROXY
    if name == "Code" or name in _BATCH_CLASSES:
        return _CODE if name == "Code" else _BATCH
    if not name.endswith(("Authenticator", "Spawner")) or (is_used and name in _BASES):
        return _OTHER
    if not is_used:
        return _NOT_USED
    known = next((one for part, one in _SPAWNERS if part in name), _SPAWNER)
    return known if name.endswith("Spawner") else _LOGIN


_BASES = frozenset({"Authenticator", "LocalAuthenticator", "OAuthenticator", "Spawner"})
