"""What nothing else brings over: a comment for each, with the reason where it is known."""

from collections.abc import Mapping

from embedded.settings_import.draft import Draft
from embedded.settings_import.old_settings import OldSettings, Traits

_PROXY = ("hub", "the hub's own proxy needs no such setting", "")
_PROCESS = ("hub", "the hub has no process of its own for this, or does it by itself", "")
_KEYS = ("hub", "this hub makes its own keys", "")
_TLS = ("hub", "a proxy in front of the hub does TLS", "Set hub.public_url and hub.trusted_proxies.")
_PAGES = ("hub", "the pages have no templates of your own", "Set hub.name.")
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
        (
            *("template_paths", "template_vars", "logo_file", "extra_handlers", "tornado_settings", "default_url"),
            *("default_server_name", "redirect_to_server", "implicit_spawn_seconds", "user_redirect_hook"),
        ),
        _PAGES,
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
        ("mem_guarantee", "cpu_guarantee"),
        ("profiles", "the hub holds limits and reserves nothing", "In AWS a task has what the limit says."),
    ),
    "admin_access": ("roles", "a role says who may enter servers", 'Give a role the scope "access:servers".'),
    "extra_user_groups": ("groups", "it names groups of the operating system", "For the hub's groups see [groups]."),
    "shutdown_on_logout": ("culling", "a logout stops no server", "Set culling.idle_after."),
}
_CODE = ("other", "it is Python", "Save it as jupyterhub_config.py, and import that file with --run-config.")
_OTHER = ("other", "it has no counterpart", "")
_NOT_USED = ("other", "the old settings do not use its class", "")


def bring(old: OldSettings, traits: Traits, draft: Draft) -> None:
    """Say of all that is left that it is not brought over."""
    for name in traits.classes():
        for trait, found in traits.take_all(name).items():
            section, why, to_do = _REASONS.get(trait, _reason_of_class(name))
            draft.leave_out(section, found.label, found.value, why, to_do)
    for remark in old.remarks:
        draft.say("other", " ".join(filter(None, [f"{remark.label}: {remark.what}.", remark.to_do])))


def _reason_of_class(name: str) -> tuple[str, str, str]:
    if name.endswith(("Proxy", "ProxyManager")):
        return _PROXY
    if name == "Code":
        return _CODE
    return _NOT_USED if name.endswith(("Authenticator", "Spawner")) and name not in _BASES else _OTHER


_BASES = frozenset({"Authenticator", "LocalAuthenticator", "OAuthenticator", "Spawner"})
