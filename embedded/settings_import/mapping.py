"""From old settings to a hubless.toml."""

from embedded.settings_import import hub, leftovers, logins, services, spawners
from embedded.settings_import.draft import Draft, ImportedSettings
from embedded.settings_import.old_settings import OldSettings, Traits, cleaned


def settings_from(old: OldSettings) -> ImportedSettings:
    """Return the hubless.toml that says what *old* says.

    Raises:
        SettingsError: when *old* is too large.
    """
    whole = OldSettings(
        source=old.source, kind=old.kind, traits=cleaned(old.traits), labels=old.labels, remarks=old.remarks
    )
    traits, draft = Traits(whole), Draft(f"The settings of {old.source}, as `hubless import-settings` read them.")
    hub.bring(traits, draft)
    logins.bring(whole, traits, draft)
    services.bring(traits, draft)
    spawners.bring(traits, draft)
    leftovers.bring(whole, traits, draft)
    return draft.finish()
