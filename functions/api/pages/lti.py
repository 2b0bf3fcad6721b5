"""LTI 1.3: logins from an LMS, links that a teacher chooses (deep linking), and the registration of an LMS.

Most of these pages are shown in a frame of the LMS, where browsers send no cookie of a session (SameSite=Lax). So the
hub opens in a new window: an initiation in a frame is answered with a link, before the LMS has issued anything that is
good for once only. What stays in the frame needs a partitioned cookie for one login, and then none.
"""

import logging
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import login_failed, record
from functions.api.auth.cookies import cookies, is_secure
from functions.api.auth.session_opening import open_session
from functions.api.json_codec import JSONResponse
from functions.api.provider_pool import in_provider_pool
from functions.api.redirects import Redirects, RequestRedirects
from functions.api.rendering import Render
from functions.api.routers import page_router
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_FIELD
from hubless.domain.errors import HublessError, LtiRefusedError
from hubless.domain.lti_paths import DEEP_LINK_PATH, LOGIN_PATH, MESSAGE_PATH
from hubless.domain.origins import is_loopback
from hubless.domain.translatable import gettext as _

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub
    from hubless.domain.lti_messages import LtiMessage

logger = logging.getLogger(__name__)
router = page_router()
FRAMABLE: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors *; form-action {}"
)
_COOKIE = "__Host-hubless-lti-"  # and the beginning of the state: several tabs may log in at once
_MARK = 12  # characters of that beginning
_TRIAL = f"{_COOKIE}trial"
_COOKIE_SECONDS = 600  # as long as a login waits (`lti_logins.PENDING_FOR`)
_MAX_TOKEN = 65_536  # characters
_STATE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_FRAMES = frozenset({"iframe", "frame", "embed", "object"})  # Fetch Metadata's words
_HOUR, _DAY = 3600, 86_400  # seconds
_TRIED = "cookies_tried"
_ASKED = ("iss", "login_hint", "target_link_uri", "lti_message_hint", "client_id", "lti_deployment_id")
_NEW_WINDOW = _("Your browser keeps no cookies for the hub in this frame, so the hub must open in a new window.")
_NO_COOKIE = _(
    "Your browser did not send back the cookie of this login. Open the link again, in a new window:"
    " in Moodle set «Launch container» of the tool to «New window», in Canvas load the link in a"
    " new tab."
)
_NOTHING_HERE = _("This page is for an LMS. Open the hub from your course, or log in.")


def _facts(given: Any) -> dict[str, str]:
    """Return the parameters of an initiation.

    Raises:
        LtiRefusedError: naming what is missing or too long.
    """
    facts = {name: found for name in _ASKED if isinstance(found := given.get(name), str) and found}
    for name, found in facts.items():
        if len(found) > MAX_FIELD:
            raise LtiRefusedError(
                _("The LMS sent more than %(max_field)s characters as %(name)s.", max_field=MAX_FIELD, name=name)
            )
    for name in ("iss", "login_hint"):
        if name not in facts:
            raise LtiRefusedError(
                _(
                    "The LMS began the login without %(name)s. Set the tool's initiate login URL in the LMS to this"
                    " address, and its version to LTI 1.3.",
                    name=name,
                )
            )
    return facts


def _require_secure(request: Request) -> None:
    if not is_secure(request) and not is_loopback(request.headers.get("host", "")):
        raise LtiRefusedError(
            "LTI needs https: browsers send no cookies back from an LMS otherwise. Set public_url in [hub] to the https"
            " address of this hub, and open it there."
        )


def _is_framed(request: Request) -> bool:
    return request.headers.get("sec-fetch-dest") in _FRAMES


def _framable(form_action: str = "'self'") -> dict[str, str]:
    return {"Content-Security-Policy": FRAMABLE.format(form_action)}


def _refusal(render: Render, why: str, status: int = 403) -> Response:
    """Return a page that says why, also in a frame."""
    return render(
        "error.html",
        status_code=status,
        headers=_framable(),
        status=status,
        title=_("The LMS could not log you in"),
        message=why,
        detail=None,
        correlation_id=None,
    )


def _set_cookie(response: Response, name: str, value: str, seconds: int = _COOKIE_SECONDS) -> None:
    """Give the browser a cookie that comes back in a frame of this very LMS (CHIPS), and with a POST of another site.

    Python's own cookies know no `Partitioned` before 3.14.
    """
    response.headers.append(
        "set-cookie", f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=None; Partitioned"
    )


def _new_window(render: Render, facts: dict[str, str], why: str) -> Response:
    address = f"{LOGIN_PATH}?{urlencode(facts)}"
    return render("lti_new_window.html", headers=_framable(), address=address, why=why)


@router.get("/lti/login")
@router.post("/lti/login")
async def begin(request: Request, hub: dependencies.WholeHub, render: Render) -> Response:
    """Begin a login that an LMS initiates: send the browser on to the LMS, or out of its frame first."""
    given = await request.form(max_fields=50) if request.method == "POST" else request.query_params
    try:
        facts = _facts(given)
        _require_secure(request)
        if _is_framed(request):
            if urlsplit(facts.get("target_link_uri", "")).path != DEEP_LINK_PATH:
                return _new_window(render, facts, "")
            if not cookies(request, _TRIAL):
                return _tried(render, facts, is_second=bool(given.get(_TRIED)))
        hub.login_beginnings.admit(dependencies.address_of(request))
        return await _to_lms(hub, facts)
    except LtiRefusedError as refused:
        return _refusal(render, refused.message)


def _tried(render: Render, facts: dict[str, str], *, is_second: bool) -> Response:
    """Try whether a cookie comes back in this frame, before the LMS uses up what it sent."""
    if is_second:
        return _new_window(render, facts, _NEW_WINDOW)
    response = RedirectResponse(f"{LOGIN_PATH}?{urlencode({**facts, _TRIED: '1'})}", 303)
    _set_cookie(response, _TRIAL, "1")
    return response


async def _to_lms(hub: "Hub", facts: dict[str, str]) -> Response:
    from hubless.services.lti_logins import Initiation  # noqa: PLC0415 only logins from an LMS need it

    asked = Initiation(
        issuer=facts["iss"],
        login_hint=facts["login_hint"],
        message_hint=facts.get("lti_message_hint", ""),
        client_id=facts.get("client_id", ""),
        deployment_id=facts.get("lti_deployment_id", ""),
    )
    begun = await in_provider_pool(hub.lti.logins.begin, asked)
    response = RedirectResponse(begun.address, 302)
    _set_cookie(response, _COOKIE + begun.state[:_MARK], begun.browser)
    return response


@router.get("/lti/launch")
@router.get("/lti/deep-link")
async def not_from_an_lms(render: Render) -> Response:
    """Say that only an LMS opens this address."""
    return _refusal(render, _NOTHING_HERE, 404)


@router.post("/lti/launch")
async def receive(
    request: Request, hub: dependencies.WholeHub, redirects: RequestRedirects, render: Render
) -> Response:
    """Take the message of the LMS: log the person in, or show the page on which a teacher chooses a link."""
    form = await request.form(max_fields=50)
    state, token = form.get("state"), form.get("id_token")
    if not isinstance(state, str) or not _STATE.fullmatch(state):
        return _refusal(render, _why_no_message(form))
    name = _COOKIE + state[:_MARK]
    kept = cookies(request, name)
    if not kept:
        return _refusal(render, _NO_COOKIE)
    if not isinstance(token, str) or not 0 < len(token) <= _MAX_TOKEN:
        return _refusal(render, _why_no_message(form))
    try:
        received = await in_provider_pool(hub.lti.logins.receive, state, kept[0], token)
        if received.message.deep_link is not None:
            response = _chooser(hub, render, received.platform.name, received.message)
        elif _is_framed(request):
            response = _refusal(render, _NO_COOKIE)
        else:
            user, _ = await in_provider_pool(hub.lti.logins.log_in, received)
            following = _following(hub, redirects, received.message)
            response = _opened(open_session(request, hub, user, following, provider=received.provider), render)
    except LtiRefusedError as refused:
        logger.info("refused a message of an LMS: %s", refused)
        login_failed(request)
        response = _refusal(render, refused.message)
    _set_cookie(response, name, "", 0)
    return response


def _opened(redirect: Response, render: Render) -> Response:
    """Return a page that goes where *redirect* goes.

    A redirect would count as led by the LMS's site: servers would be started only after a question, and cookies of our
    own pages would not be sent.
    """
    page = render("lti_opening.html", address=redirect.headers["location"])
    for value in redirect.headers.getlist("set-cookie"):
        page.headers.append("set-cookie", value)
    return page


def _why_no_message(form: Any) -> str:
    error = form.get("error")
    if isinstance(error, str) and error:
        about = form.get("error_description")
        said = f"{error[:60]}: {about[:300]}" if isinstance(about, str) and about else error[:60]
        return _("The LMS did not log you in (%(said)s). Log in to the LMS and open the link again.", said=said)
    return _(
        "The LMS sent no message. Set the tool's redirect URI in the LMS to this address, and its version to LTI 1.3."
    )


def _following(hub: "Hub", redirects: Redirects, message: "LtiMessage") -> str | None:
    """Return the path that the link names, which must be on this hub: as `next`, or as the address of the link."""
    if (chosen := message.custom.get("next")) and (path := redirects.safe(chosen)):
        return path
    own = hub.settings.url
    target = message.target.removeprefix(own) if message.target.startswith(f"{own}/") else message.target
    parts = urlsplit(target)
    if parts.path in {MESSAGE_PATH, DEEP_LINK_PATH, LOGIN_PATH}:
        target = next(iter(parse_qs(parts.query).get("next", [])), "")
    return redirects.safe(target)


# --- deep linking ---


def _chooser(
    hub: "Hub", render: Render, platform: str, message: "LtiMessage", error: str = "", **fields: str
) -> Response:
    """Return the form on which a teacher chooses what the link opens. It carries its own proof, and needs no cookie."""
    from functions.api.lti_tickets import LinkTicket, sealed  # noqa: PLC0415 few requests choose links

    asked = message.deep_link
    assert asked is not None  # noqa: S101 the caller has looked
    if not asked.takes_links:
        raise LtiRefusedError("The LMS asks for something else than a link, and this hub has only links to give.")
    ticket = LinkTicket(platform, message.deployment_id, asked.return_url, asked.data)
    return _chooser_page(render, sealed(hub.key, ticket), error, fields)


def _chooser_page(render: Render, ticket: str, error: str, fields: dict[str, str]) -> Response:
    return render(
        "lti_choose_link.html", headers=_framable(), ticket=ticket, action=DEEP_LINK_PATH, error=error, fields=fields
    )


@router.post("/lti/deep-link")
async def choose_link(
    request: Request, hub: dependencies.WholeHub, redirects: RequestRedirects, render: Render
) -> Response:
    """Make the link that was chosen, and show the form that takes it to the LMS."""
    from functions.api import lti_tickets  # noqa: PLC0415 few requests choose links

    form = await request.form(max_fields=20)
    fields = {name: text for name in lti_tickets.FIELDS if isinstance(text := form.get(name), str)}
    given = form.get("ticket")
    ticket = lti_tickets.opened(hub.key, given if isinstance(given, str) else "")
    if ticket is None:
        return _refusal(render, _("This form is more than an hour old. Choose the link in the LMS again."))
    try:
        path, title = lti_tickets.chosen(fields, redirects.safe)
    except LtiRefusedError as wrong:
        return _chooser_page(render, str(given), wrong.message, fields)
    answer = await in_provider_pool(
        hub.lti.links.answer, ticket.platform, ticket.deployment_id, ticket.data, path, title
    )
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(ticket.return_url))
    return render(
        "lti_add_link.html", headers=_framable(origin), address=ticket.return_url, token=answer, title=title, path=path
    )


# --- the hub as a tool ---


@router.get("/lti/jwks")
async def key_set(hub: dependencies.WholeHub) -> Response:
    """Return the hub's public keys."""
    keys = await in_provider_pool(hub.lti.keys.key_set)
    return JSONResponse(keys, headers={"Cache-Control": f"public, max-age={_HOUR}"})


@router.get("/lti/config")
async def configuration(hub: dependencies.WholeHub) -> Response:
    """Return what Canvas reads as the configuration of a developer key."""
    from functions.api.lti_tickets import canvas_configuration  # noqa: PLC0415 an admin asks once

    return JSONResponse(canvas_configuration(hub.settings.url, hub.settings.hub.name))


@router.get("/lti/register")
async def registration(request: Request, hub: dependencies.WholeHub, render: Render) -> Response:
    """Ask whether to register the hub with the LMS that opens this link of an admin."""
    from functions.api.lti_tickets import is_registration_key  # noqa: PLC0415 an admin asks once

    query = request.query_params
    address, key = query.get("openid_configuration", ""), query.get("key", "")
    if not is_registration_key(hub.key, key):
        return _refusal(render, _("This link has expired or is not the hub's. Ask the hub's admin for a new one."))
    if not address:
        return _refusal(render, _("An LMS opens this link: give it to the LMS as the tool's registration URL."), 400)
    return render(
        "lti_register.html",
        headers=_framable(),
        host=urlsplit(address).netloc[:255],
        fields={"key": key, "openid_configuration": address, "registration_token": query.get("registration_token", "")},
    )


@router.post("/lti/register")
async def register(request: Request, hub: dependencies.WholeHub, render: Render) -> Response:
    """Register the hub with the LMS, once for each link."""
    from functions.api.lti_tickets import is_registration_key, registration_use  # noqa: PLC0415 an admin asks once

    form = await request.form(max_fields=10)
    address, token, key = (
        text if isinstance(text := form.get(name), str) else ""
        for name in ("openid_configuration", "registration_token", "key")
    )
    if not is_registration_key(hub.key, key) or not hub.single_use.use(*registration_use(key, hub.clock.now())):
        return _refusal(render, _("This link was used already, or has expired. Ask the hub's admin for a new one."))
    try:
        platform = await in_provider_pool(hub.lti.platforms.register, address[:MAX_FIELD], token[:_MAX_TOKEN])
    except HublessError as refused:
        logger.info("an LMS was not registered: %s", refused)
        return _refusal(
            render,
            _("%(refused)s Ask the hub's admin for a new link before you try again.", refused=refused.message),
            400,
        )
    record(request, Act.LMS_ADDED, platform.name, issuer=platform.issuer)
    logger.info("the LMS %s registered itself as the LTI platform %s", platform.issuer, platform.name)
    return RedirectResponse(f"/hub/lti/registered?name={platform.name}", 303)


@router.get("/lti/registered")
async def registered(request: Request, render: Render) -> Response:
    """Say that an LMS is registered; the page closes the LMS's dialog."""
    name = request.query_params.get("name", "")[:60]
    return render("lti_registered.html", headers=_framable(), name=name)
