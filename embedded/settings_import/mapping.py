"""From old settings to a hubless.toml."""

from collections.abc import Iterable

from embedded.settings_import import archived, hub, leftovers, logins, services, spawners
from embedded.settings_import.draft import Draft, ImportedSettings
from embedded.settings_import.old_settings import OldSettings, Traits, cleaned
from hubless.domain.archive import ArchivedRole, ArchivedService


def settings_from(
    old: OldSettings, roles: Iterable[ArchivedRole] = (), archived_services: Iterable[ArchivedService] = ()
) -> ImportedSettings:
    """Return the hubless.toml that says what *old* says.

    Args:
        old: the settings.
        roles: of the old hub's database; one whose name *old* has stays out.
        archived_services: of the old hub's database, likewise.

    Raises:
        SettingsError: when *old* is too large.
    """
    whole = OldSettings(
        source=old.source, kind=old.kind, traits=cleaned(old.traits), labels=old.labels, remarks=old.remarks
    )
    traits, draft = Traits(whole), Draft(f"The settings of {old.source}, as `hubless import-settings` read them.")
    hub.bring(traits, draft)
    logins.bring(whole, traits, draft)
    known = list(archived_services)
    names, cullers = services.bring(traits, draft, {one.name for one in known})
    archived.bring_services((one for one in known if one.name not in names), draft)
    role_names = services.bring_roles(traits, draft, cullers)
    archived.bring_roles((one for one in roles if one.name not in role_names), draft, cullers)
    spawners.bring(traits, draft)
    leftovers.bring(whole, traits, draft)
    return draft.finish()
