"""Dependencies of handlers: the services and stores of the hub that the application serves."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends
from starlette.requests import Request

if TYPE_CHECKING:
    import hubless.domain.limits
    import hubless.domain.origins
    import hubless.domain.roles
    import hubless.ports.clock
    import hubless.ports.home_usage
    import hubless.ports.servers
    import hubless.ports.shares
    import hubless.ports.tokens
    import hubless.ports.users
    import hubless.services.accounts
    import hubless.services.activity
    import hubless.services.adding_people
    import hubless.services.auditing
    import hubless.services.auth_states
    import hubless.services.authorizations
    import hubless.services.edge_autosuspend
    import hubless.services.email_addresses
    import hubless.services.external_logins
    import hubless.services.group_editing
    import hubless.services.home_limiting
    import hubless.services.identity
    import hubless.services.join_links
    import hubless.services.keeping
    import hubless.services.launching
    import hubless.services.logins
    import hubless.services.name_lookups
    import hubless.services.password_changes
    import hubless.services.password_login
    import hubless.services.password_resets
    import hubless.services.privileges
    import hubless.services.routing
    import hubless.services.schedules
    import hubless.services.second_factors
    import hubless.services.service_registry
    import hubless.services.sharing
    import hubless.services.sign_ups
    import hubless.services.spawning
    import hubless.services.stopping
    import hubless.services.tokens
    import hubless.services.usage_reports
    import hubless.services.user_removal
    import hubless.services.visits
    import hubless.settings
    from hubless.bootstrap.hub import Hub


def hub_of(request: Request) -> "Hub":
    """Return the hub that the application serves."""
    hub: Hub = request.app.state.hub
    return hub


def address_of(request: Request) -> str:
    """Return the client's address, by which wrong guesses are counted."""
    return request.client.host if request.client else "unknown"


class HubPart:
    """A dependency that gives one part of the hub."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, request: Request) -> Any:
        """Return the part."""
        return getattr(request.app.state.hub, self.name)


async def _hub(request: Request) -> "Hub":
    return hub_of(request)


def _part(name: str) -> Any:
    return Depends(HubPart(name))


WholeHub = Annotated["Hub", Depends(_hub)]
"""For handlers that need the whole hub, such as its metrics."""

Accounts = Annotated["hubless.services.accounts.Accounts", _part("accounts")]
Activity = Annotated["hubless.services.activity.Activity", _part("activity")]
AddingPeople = Annotated["hubless.services.adding_people.AddingPeople", _part("adding_people")]
Auditing = Annotated["hubless.services.auditing.Auditing", _part("auditing")]
AuthStates = Annotated["hubless.services.auth_states.AuthStates", _part("kept_auth_states")]
Authorizations = Annotated["hubless.services.authorizations.Authorizations", _part("authorizations")]
Budgets = Annotated["hubless.services.budgets.Budgets", _part("budgets")]
Clients = Annotated["hubless.ports.tokens.ClientStore", _part("clients")]
Clock = Annotated["hubless.ports.clock.Clock", _part("clock")]
HeldResources = Annotated[frozenset["hubless.domain.limits.Resource"], _part("held_resources")]
HomeLimiting = Annotated["hubless.services.home_limiting.HomeLimiting", _part("home_limiting")]
HomeUsage = Annotated["hubless.ports.home_usage.HomeUsageStore", _part("home_usage")]
ExternalLogins = Annotated["hubless.services.external_logins.ExternalLogins", _part("external_logins")]
GroupEditing = Annotated["hubless.services.group_editing.GroupEditing", _part("group_editing")]
Groups = Annotated["hubless.ports.users.GroupStore", _part("groups")]
Identities = Annotated["hubless.services.identity.Identities", _part("identities")]
JoinLinks = Annotated["hubless.services.join_links.JoinLinks", _part("join_links")]
Keeping = Annotated["hubless.services.keeping.Keeping", _part("keeping")]
Launching = Annotated["hubless.services.launching.Launching", _part("launching")]
Logins = Annotated["hubless.services.logins.Logins", _part("logins")]
NameLookups = Annotated["hubless.services.name_lookups.NameLookups", _part("name_lookups")]
Origins = Annotated["hubless.domain.origins.Origins", _part("origins")]
UserRemoval = Annotated["hubless.services.user_removal.UserRemoval", _part("user_removal")]
PasswordChanges = Annotated["hubless.services.password_changes.PasswordChanges", _part("password_changes")]
Emails = Annotated["hubless.services.email_addresses.EmailAddresses", _part("emails")]
PasswordResets = Annotated["hubless.services.password_resets.PasswordResets", _part("password_resets")]
SignUps = Annotated["hubless.services.sign_ups.SignUps", _part("sign_ups")]
PasswordLogins = Annotated["hubless.services.password_login.PasswordLogin", _part("password_login")]
Privileges = Annotated["hubless.services.privileges.Privileges", _part("privileges")]
Roles = Annotated[Mapping[str, "hubless.domain.roles.Role"], _part("roles")]
Routing = Annotated["hubless.services.routing.Routing", _part("routing")]
Schedules = Annotated["hubless.services.schedules.Schedules", _part("schedules")]
SecondFactors = Annotated["hubless.services.second_factors.SecondFactors", _part("second_factors")]
Servers = Annotated["hubless.ports.servers.ServerStore", _part("servers")]
Services = Annotated["hubless.services.service_registry.ServiceRegistry", _part("services")]
Settings = Annotated["hubless.settings.Settings", _part("settings")]
Sharing = Annotated["hubless.services.sharing.Sharing", _part("sharing")]
Spawning = Annotated["hubless.services.spawning.Spawning", _part("spawning")]
Stopping = Annotated["hubless.services.stopping.Stopping", _part("stopping")]
Tokens = Annotated["hubless.services.tokens.Tokens", _part("tokens")]
TokenStore = Annotated["hubless.ports.tokens.TokenStore", _part("token_store")]
Visits = Annotated["hubless.services.visits.Visits", _part("visits")]
UsageReports = Annotated["hubless.services.usage_reports.UsageReports", _part("usage_reports")]
Users = Annotated["hubless.ports.users.UserStore", _part("users")]
EdgeAutosuspend = Annotated["hubless.services.edge_autosuspend.EdgeAutosuspend", _part("edge_autosuspend")]
