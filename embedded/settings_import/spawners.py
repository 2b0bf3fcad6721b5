"""How a spawner starts servers, as `[servers]` and `[[profiles]]`."""

from embedded.settings_import import conversions, profiles
from embedded.settings_import.draft import Draft
from embedded.settings_import.hub import put
from embedded.settings_import.old_settings import Found, Named, Traits

_ALIASES = {
    "simple": "SimpleLocalProcessSpawner",
    "localprocess": "LocalProcessSpawner",
    "systemd": "SystemdSpawner",
    "sudo": "SudoSpawner",
    "docker": "DockerSpawner",
    "swarm": "SwarmSpawner",
    "kubespawner": "KubeSpawner",
}
_TIMES: tuple[tuple[str, str], ...] = (("start_timeout", "launch_timeout"), ("http_timeout", "start_timeout"))


def bring(traits: Traits, draft: Draft) -> None:
    """Bring over the spawner's settings."""
    chain = _chain(traits, draft)
    for trait, key in _TIMES:
        if found := traits.take(trait, *chain):
            put(draft, "servers", key, found, conversions.seconds)
    profiles.bring(traits, draft, chain)


def _chain(traits: Traits, draft: Draft) -> tuple[str, ...]:
    found = traits.take("spawner_class", "JupyterHub")
    names: list[str] = []
    if found and isinstance(found.value, Named) and found.value.is_imported:
        found = Found(found.value.name, found.label)
    if found and isinstance(found.value, Named):
        names = [found.value.name.rpartition(".")[2], *(one.rpartition(".")[2] for one in found.value.bases)]
        draft.leave_out("servers", found.label, found.value, "its own methods are Python", "Look what they do.")
    elif found and isinstance(found.value, str):
        names = [_ALIASES.get(found.value, found.value.rpartition(".")[2])]
    if not any(name in _ALIASES.values() for name in names):
        names += [one for one in traits.classes() if one.endswith("Spawner")] if found else ["LocalProcessSpawner"]
    return tuple(dict.fromkeys([*names, "LocalProcessSpawner", "Spawner"]))
