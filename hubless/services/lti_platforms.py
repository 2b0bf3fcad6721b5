"""The LTI platforms of a hub: those of settings, and those that registered themselves with a link of an admin."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from hubless.domain.errors import LtiRefusedError, NotFoundError
from hubless.domain.lti_messages import DEEP_LINK, MAX_TEXT, RESOURCE_LINK, table, text, url
from hubless.domain.lti_paths import DEEP_LINK_PATH, KEY_SET_PATH, LOGIN_PATH, MESSAGE_PATH
from hubless.domain.lti_platforms import LtiPlatform
from hubless.domain.lti_scopes import ALL_SCOPES
from hubless.domain.origins import is_loopback
from hubless.domain.values import value
from hubless.ports.lms import Lms
from hubless.ports.lti import LtiStore

TOOL: Final = "https://purl.imsglobal.org/spec/lti-tool-configuration"
PLATFORM: Final = "https://purl.imsglobal.org/spec/lti-platform-configuration"
_CLAIMS = ("iss", "sub", "name", "given_name", "family_name", "email")
_DIGITS = 6
_CANVAS = ".instructure.com"  # the end of all hosts of its maker's sites


@value
class LtiPlatforms:
    """Finds platforms, and registers the hub with new ones. *url* is the hub's address for browsers."""

    from_settings: tuple[LtiPlatform, ...]
    store: LtiStore
    lms: Lms
    url: str
    hub_name: str

    def all(self) -> list[LtiPlatform]:
        """Return all platforms, those of settings first."""
        return [*self.from_settings, *self.store.platforms()]

    def named(self, name: str) -> LtiPlatform:
        """Return the platform of that name.

        Raises:
            NotFoundError: when there is none.
        """
        found = _named(self.from_settings, name) or _named(self.store.platforms(), name)
        if found is None:
            raise NotFoundError("LTI platform", name)
        return found

    def asked_by(self, issuer: str, client_id: str, deployment_id: str) -> LtiPlatform:
        """Return the platform that begins a login.

        Args:
            issuer: `iss` of the request.
            client_id: what the LMS calls this hub; "" if it does not say, as some do.
            deployment_id: the deployment; "" if the LMS does not say.

        Raises:
            LtiRefusedError: when there is none, or several; it says what to set.
        """
        found = _fitting(self.from_settings, issuer, client_id) or _fitting(self.store.platforms(), issuer, client_id)
        if len(found) > 1 and deployment_id:
            found = [platform for platform in found if deployment_id in platform.deployment_ids] or found
        if len(found) == 1:
            return found[0]
        if found:
            raise LtiRefusedError(
                f"Several platforms of this hub have the issuer {issuer[:200]}, and the LMS does not say which it"
                " means. Let it send client_id, or name the deployments of each platform in deployment_ids."
            )
        client = f" and client_id = {client_id[:200]!r}" if client_id else ""
        raise LtiRefusedError(
            f"This hub knows no LMS with issuer = {issuer[:200]!r}{client}. Its operator adds it to [[lti_platforms]]"
            " of the settings, with exactly these values."
        )

    def tool_configuration(self) -> dict[str, Any]:
        """Return the hub as a tool, as Dynamic Registration 1.0 describes one."""
        return {
            "application_type": "web",
            "client_name": self.hub_name,
            "response_types": ["id_token"],
            "grant_types": ["implicit", "client_credentials"],
            "initiate_login_uri": self.url + LOGIN_PATH,
            "redirect_uris": [self.url + MESSAGE_PATH],
            "jwks_uri": self.url + KEY_SET_PATH,
            "token_endpoint_auth_method": "private_key_jwt",
            "scope": " ".join(ALL_SCOPES),
            TOOL: {
                "domain": urlsplit(self.url).netloc,
                "description": "Jupyter notebooks",
                "target_link_uri": self.url + MESSAGE_PATH,
                "custom_parameters": {"username": "$User.username"},
                "claims": list(_CLAIMS),
                "messages": [
                    {"type": RESOURCE_LINK, "target_link_uri": self.url + MESSAGE_PATH},
                    {"type": DEEP_LINK, "target_link_uri": self.url + DEEP_LINK_PATH, "label": self.hub_name},
                ],
            },
        }

    def register(self, configuration_url: str, token: str) -> LtiPlatform:
        """Register the hub with the LMS whose OpenID configuration is at *configuration_url*, and store the platform.

        Raises:
            LtiRefusedError: when the configuration is not the LMS's own, or lacks something.
            LtiServiceError: when the LMS refuses.
            NameTakenError, StoreConflictError: when this registration is there already.
        """
        self._require_tls(configuration_url)
        found = self.lms.configuration(configuration_url)
        issuer = text(found, "issuer")
        if not issuer or not _is_of_issuer(configuration_url, issuer):
            raise LtiRefusedError(
                f"The OpenID configuration at {urlsplit(configuration_url).netloc} is of the issuer {issuer!r}, which"
                " is at another host."
            )
        endpoints = {
            key: url(found, key)
            for key in ("authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint")
        }
        if missing := [key for key, address in endpoints.items() if not address]:
            raise LtiRefusedError(f"The OpenID configuration of {issuer} lacks {', '.join(missing)}.")
        for address in endpoints.values():
            self._require_tls(address)
        if any(one.issuer == issuer and one.key_set_url != endpoints["jwks_uri"] for one in self.all()):
            raise LtiRefusedError(f"Another LMS of this hub is {issuer} already, with other keys.")
        made = self.lms.register(endpoints["registration_endpoint"], token, self.tool_configuration())
        client_id = text(made, "client_id", MAX_TEXT)
        if not client_id:
            raise LtiRefusedError(f"{issuer} registered the hub without a client_id.")
        platform = LtiPlatform(
            name=_name_of(issuer, client_id),
            issuer=issuer,
            client_id=client_id,
            authorization_url=endpoints["authorization_endpoint"],
            token_url=endpoints["token_endpoint"],
            key_set_url=endpoints["jwks_uri"],
            kind=text(table(found, PLATFORM), "product_family_code", 60) or "other",
        )
        self.store.add_platform(platform)
        return platform

    def _require_tls(self, address: str) -> None:
        """Refuse an address without TLS, with which an LMS could let the hub ask programs on its own machine.

        A hub that is itself at this machine, for a trial, may have its LMS there too.

        Raises:
            LtiRefusedError: naming the address.
        """
        if not address.startswith("https://") and not is_loopback(urlsplit(self.url).netloc):
            raise LtiRefusedError(f"The LMS names the address {address[:200]!r}, which must begin with https://.")

    def remove(self, name: str) -> None:
        """Remove a platform that registered itself. Its users and courses stay.

        Raises:
            NotFoundError: when none in the store has that name.
        """
        found = _named(self.store.platforms(), name)
        if found is None:
            raise NotFoundError("LTI platform", name)
        self.store.remove_platform(found)


def _named(platforms: Iterable[LtiPlatform], name: str) -> LtiPlatform | None:
    return next((one for one in platforms if one.name == name), None)


def _fitting(platforms: Iterable[LtiPlatform], issuer: str, client_id: str) -> list[LtiPlatform]:
    return [one for one in platforms if one.issuer == issuer and (not client_id or one.client_id == client_id)]


def _name_of(issuer: str, client_id: str) -> str:
    """Return a name for a platform: of its host, and a hash that no other registration has."""
    slug = re.sub(r"[^a-z0-9]+", "-", (urlsplit(issuer).hostname or "lms").lower()).strip("-")[:30].strip("-")
    return f"{slug or 'lms'}-{hashlib.sha256(f'{len(issuer)}:{issuer}{client_id}'.encode()).hexdigest()[:_DIGITS]}"


def _is_of_issuer(configuration_url: str, issuer: str) -> bool:
    """Say whether both are at one host, or at hosts of Canvas, whose sites have one issuer.

    Hosts of one domain may belong to strangers elsewhere: `a.co.uk` and `b.co.uk`, or two pages at one provider.
    """
    try:
        here, there = urlsplit(configuration_url).hostname or "", urlsplit(issuer).hostname or ""
    except ValueError:
        return False
    return bool(there) and (here == there or (here.endswith(_CANVAS) and there.endswith(_CANVAS)))
