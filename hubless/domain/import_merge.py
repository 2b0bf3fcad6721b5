"""Changes on both sides: what an item was when it came last, what it is there now, and what it is here.

Each part counts by itself. What changed there alone comes, what changed here alone stays. What changed on both sides
stays as it is here, and the report names it, at each import until both sides agree.
"""

from dataclasses import replace

from hubless.domain.import_items import Item, parts_in, with_parts
from hubless.domain.values import value

_FIXED = frozenset({"created_at"})  # which nothing changes here
_SECRETS = frozenset({"client_secret_hash", "token_hash"})  # an archive without secrets takes none away


@value
class Merge:
    """What becomes of an item that is on both sides."""

    item: Item  # as it shall be here; its digest is the mark to keep
    taken: tuple[str, ...]  # parts that changed there alone
    kept: tuple[str, ...]  # parts that changed on both sides, or whose past nobody knows
    own: tuple[str, ...]  # parts that changed here alone


def merge(item: Item, here: Item, mark: str) -> Merge:
    """Return what becomes of *item*, of a kind with parts.

    Args:
        item: as the source has it.
        here: as this hub has it.
        mark: its digest as it came last.
    """
    past, theirs, ours = parts_in(mark), parts_in(item.digest), parts_in(here.digest)
    after = dict(past)
    taken, kept, own = list[str](), list[str](), list[str]()
    for name, part in theirs.items():
        if name in _SECRETS and getattr(item.record, name) is None:
            continue
        if name in _FIXED or part == ours[name]:
            after[name] = part
        elif past.get(name) == part:
            own.append(name)
        elif past.get(name) == ours[name]:
            taken.append(name)
            after[name] = part
        else:
            kept.append(name)
    record = replace(here.record, **{name: getattr(item.record, name) for name in taken})
    owner = item.owner if "owner" in taken else here.owner
    # In the order of the item's own parts, so that a mark is the item's digest where nothing is kept.
    digest = with_parts({name: after[name] for name in theirs if name in after})
    merged = replace(item, record=record, owner=owner, digest=digest, before=here.record, mark=mark)
    return Merge(merged, tuple(taken), tuple(kept), tuple(own))


def parts_in_words(parts: tuple[str, ...]) -> str:
    """Return the names of *parts* for a report: never what is in them."""
    return " and ".join(f"`{one}`" for one in parts)
