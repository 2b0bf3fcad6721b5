"""What of an archive is too large for a hub, or is no choice here: the bounds of the API hold for an import too.

A record that is too large in one part comes without that part. Nothing fails in the midst of an import: an item of
DynamoDB has at most 400 kB, and the machine's store has the same bounds, so that an archive goes both ways.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hubless.domain.added_services import MAX_SERVICES
from hubless.domain.archive import (
    Archive,
    ArchivedGroup,
    ArchivedServer,
    ArchivedService,
    ArchivedToken,
    ArchivedUser,
    Remark,
)
from hubless.domain.bounds import (
    MAX_AUTH_STATE,
    MAX_DISPLAY_NAME,
    MAX_IDENTITIES,
    MAX_NOTE,
    MAX_PROPERTIES,
    MAX_SCOPES,
    MAX_USER_RECORD,
)
from hubless.domain.budgets import MOST_BUDGETS
from hubless.domain.errors import InvalidRequestError, OptionRefusedError
from hubless.domain.import_items import Item, Kind, token_in_words
from hubless.domain.names import check_display_name, shown
from hubless.domain.profile_options import UNLISTED
from hubless.domain.profiles import PROFILE, Profile, check_options, choose
from hubless.domain.schedules import MOST_SCHEDULES
from hubless.domain.second_factors import MAX_PASSKEYS
from hubless.domain.shares import MAX_CODES, MAX_SHARES
from hubless.domain.users import User

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AN_ID = 60  # bytes of an id and what is around it in a record
_A_GRANT = 200  # bytes of a share in its holder's record, without its scopes
_CLOCKS_DIFFER = timedelta(days=1)  # at most, between two machines whose clocks somebody looks at
Tell = Callable[[Remark], None]
R = TypeVar("R", ArchivedUser, ArchivedServer, ArchivedToken)


def fitting(
    found: Archive, profiles: Mapping[str, Profile], groups: Mapping[str, set[str]], now: datetime, tell: Tell
) -> Archive:
    """Return *found* without the parts of records that are too large, that no start would take, or that cannot be.

    Args:
        found: with names as they are here.
        profiles: that this hub offers; empty if options are not to be looked at.
        groups: names of the groups of each user, by the user's name, as they will be.
        now: the present instant, after which nobody was active.
        tell: is given a remark for each part that is left out.
    """
    return replace(
        found,
        users=tuple(_user(_active(one, Kind.USER, one.name, now, tell), tell) for one in found.users),
        groups=tuple(_group(one, tell) for one in found.groups),
        services=tuple(_service(one, tell) for one in found.services),
        servers=tuple(
            _server(_active(one, Kind.SERVER, f"{one.owner}/{one.name}", now, tell), profiles, groups, tell)
            for one in found.servers
        ),
        tokens=tuple(
            replace(_active(one, Kind.TOKEN, token_in_words(one), now, tell), note=one.note[:MAX_NOTE])
            for one in found.tokens
        ),
    )


def refusal_of_token(token: ArchivedToken) -> str:
    """Return why the token has too many scopes; an empty text if it has not."""
    many = len(token.scopes)
    return f"has {many} scopes, of at most {MAX_SCOPES}" if many > MAX_SCOPES else ""


def refusal_of_auth_state(state: Mapping[str, Any]) -> str:
    """Return why the auth_state is too large; an empty text if it is not."""
    sealed = _sealed_length(len(json.dumps(dict(state))))
    return f"has {sealed} characters sealed, of at most {MAX_AUTH_STATE}" if sealed > MAX_AUTH_STATE else ""


def too_many(added: Iterable[Item], here: Iterable[Item]) -> Iterator[tuple[Item, str]]:
    """Yield those of *added* that are one too many of something, and why, in their order.

    Args:
        added: items that an import would add.
        here: items that are here already.
    """
    counted, sizes = Counter[tuple[str, ...]](), Counter[str]()
    for item in here:
        counted.update(place for place, _, _ in _counted(item))
        sizes.update(dict(_bytes_of(item)))
    for item in added:
        full = next((why for place, most, why in _counted(item) if counted[place] >= most), "")
        large = next((name for name, size in _bytes_of(item) if sizes[name] + size > MAX_USER_RECORD), None)
        if full:
            yield item, full
        elif large is not None and item.kind is not Kind.USER:
            yield item, f"is too much for the record of {shown(large)}, which has at most {MAX_USER_RECORD} bytes"
        else:
            counted.update(place for place, _, _ in _counted(item))
            sizes.update(dict(_bytes_of(item)))


_MOST: Mapping[Kind, int] = {
    Kind.SERVICE: MAX_SERVICES,
    Kind.BUDGET: MOST_BUDGETS,
    Kind.SCHEDULE: MOST_SCHEDULES,
}


def _counted(item: Item) -> list[tuple[tuple[str, ...], int, str]]:
    """Return what the item is counted under, how many there may be, and what to say of one more."""
    record = item.record
    match item.kind:
        case Kind.SHARE:
            server = (record.owner, record.server)
            holder = ("user", record.user) if record.user is not None else ("group", record.group or "")
            return [
                (("shares of", *server), MAX_SHARES, f"is one of more than {MAX_SHARES} shares of its server"),
                (("shares with", *holder), MAX_SHARES, f"is one of more than {MAX_SHARES} shares with {holder[1]}"),
            ]
        case Kind.SHARE_CODE:
            why = f"is one of more than {MAX_CODES} share codes of its server"
            return [(("codes of", record.owner, record.server), MAX_CODES, why)]
        case Kind.SERVICE | Kind.BUDGET | Kind.SCHEDULE as kind:
            most, many = _MOST[kind], f"{kind.value}s"
            return [((many,), most, f"is one of more than {most} {many}")]
        case Kind.IDENTITY:
            why = f"is one of more than {MAX_IDENTITIES} identities of the user"
            return [(("identities of", item.owner), MAX_IDENTITIES, why)]
        case _:
            return []


def _bytes_of(item: Item) -> list[tuple[str, int]]:
    """Return whose record grows by the item, and by about how many bytes."""
    record = item.record
    match item.kind:
        case Kind.USER:
            return [(item.key[0], _AN_ID + len(_as_json(record.user_info or {})))]
        case Kind.MEMBER:
            return [(item.key[1], _AN_ID + len(item.key[0].encode()))]
        case Kind.SERVER:
            return [(record.owner, _AN_ID + 2 * len(record.name.encode()))]
        case Kind.SHARE if record.user is not None:
            return [(record.user, _A_GRANT + sum(map(len, record.scopes)))]
        case _:
            return []


def _active(record: R, kind: Kind, name: str, now: datetime, tell: Tell) -> R:
    """Return *record* without a last activity that is to come: it would hide all that follow until then."""
    if record.last_activity_at is None or record.last_activity_at <= now + _CLOCKS_DIFFER:
        return record
    to_do = "Look at the old hub's clock. The next activity here counts."
    tell(Remark(kind, name, "comes without its last activity, which is in the future", to_do))
    return replace(record, last_activity_at=None)


def _user(user: ArchivedUser, tell: Tell) -> ArchivedUser:
    if size := _too_large(user.user_info):
        tell(_left_out(Kind.USER, user.name, f"has a user_info of {size} bytes as JSON, of at most {MAX_PROPERTIES}"))
        user = replace(user, user_info=None)
    if len(user.passkeys) > MAX_PASSKEYS:
        what = f"has {len(user.passkeys)} passkeys, of at most {MAX_PASSKEYS}; the last ones are left out"
        tell(Remark(Kind.FACTORS, user.name, what, "The user removes some there, or uses the others here."))
        user = replace(user, passkeys=user.passkeys[:MAX_PASSKEYS])
    return user


def _group(group: ArchivedGroup, tell: Tell) -> ArchivedGroup:
    if size := _too_large(group.properties):
        tell(_left_out(Kind.GROUP, group.name, f"has properties of {size} bytes as JSON, of at most {MAX_PROPERTIES}"))
        return replace(group, properties={})
    return group


def _service(service: ArchivedService, tell: Tell) -> ArchivedService:
    if size := _too_large(service.info):
        tell(_left_out(Kind.SERVICE, service.name, f"has an info of {size} bytes as JSON, of at most {MAX_PROPERTIES}"))
        return replace(service, info={})
    return service


def _left_out(kind: Kind, name: str, what: str) -> Remark:
    return Remark(kind, name, f"{what}, and comes without", "Make it smaller there and import again, or add it here.")


def _server(
    server: ArchivedServer, profiles: Mapping[str, Profile], groups: Mapping[str, set[str]], tell: Tell
) -> ArchivedServer:
    name = f"{server.owner}/{server.name}"
    if server.display_name:
        try:
            server = replace(server, display_name=check_display_name(server.display_name[: 2 * MAX_DISPLAY_NAME]))
        except InvalidRequestError as wrong:
            tell(Remark(Kind.SERVER, name, f"comes without its display name ({wrong})", "The user gives it another."))
            server = replace(server, display_name="")
    if not profiles:
        return server
    owner = User("", server.owner, _EPOCH, groups=tuple(sorted(groups.get(server.owner, ()))))
    profile = server.profile if server.profile in profiles else ""
    return replace(server, profile=profile, user_options=_options(server, name, profiles, owner, tell))


def _options(
    server: ArchivedServer, name: str, profiles: Mapping[str, Profile], owner: User, tell: Tell
) -> Mapping[str, Any]:
    """Return the options of the last start without those that the next one would be refused for."""
    options = dict(server.user_options)
    to_do = "The user chooses at the next start, or add it to the settings and import again."
    while options:
        try:
            check_options(options)
            choose(profiles, options, owner)
        except OptionRefusedError as refused:
            wrong = {refused.option, f"{refused.option}{UNLISTED}"} & options.keys()
            tell(
                Remark(
                    Kind.SERVER, name, f"comes without its last choice of {shown(refused.option)} ({refused})", to_do
                )
            )
            # An option that must be chosen and is not: the others alone start nothing.
            options = {key: value for key, value in options.items() if key not in wrong} if wrong else {}
        except InvalidRequestError as refused:
            what = "profile" if PROFILE in options else "options"
            tell(Remark(Kind.SERVER, name, f"comes without its last choice of {what} ({refused})", to_do))
            options = {}
        else:
            return options
    return options


def _too_large(facts: Mapping[str, Any] | None) -> int:
    """Return how many bytes *facts* have as JSON if those are too many; otherwise 0."""
    size = len(_as_json(facts or {}))
    return size if size > MAX_PROPERTIES else 0


def _as_json(facts: Mapping[str, Any]) -> str:
    return json.dumps(dict(facts))


def _sealed_length(plain: int) -> int:
    """Return how long a Fernet token is (its specification: 57 bytes beside blocks of 16, as Base64)."""
    return 4 * -(-(57 + 16 * (plain // 16 + 1)) // 3)
