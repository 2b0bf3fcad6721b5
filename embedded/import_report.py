"""The report of an import: what it would do, on one screen, and in full for a file."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from hubless.domain.archive import Remark
from hubless.domain.import_items import Kind, in_words
from hubless.domain.import_plan import Action, Plan

MOST = 20  # remarks of a kind, and names in a line, that a screen shows


def report(plan: Plan, roles: Sequence[str], *, delete: bool, most: int | None = MOST) -> str:
    """Return the report.

    Args:
        plan: what would be done.
        roles: names of the source's roles that the settings here lack.
        delete: whether what the source lost is removed here.
        most: bounds what the report names of each kind; None names everything.
    """
    lines = [f"From {shown(plan.source)}:", "", *_table(plan), ""]
    if plan.admins:
        lines.append(f"Becomes an admin: {names_in_words(plan.admins, most)}.")
    if plan.admin_services:
        lines.append(f"Becomes an admin, as a service: {names_in_words(plan.admin_services, most)}.")
    if roles:
        named = names_in_words(roles, most)
        lines.append(
            f"Roles are settings here, and these are missing: {named}. Whoever has them there may do less here."
            " --write-settings FILE writes them to a file."
        )
    lines += _gone(plan, delete=delete, most=most)
    lines += _remarks(plan.remarks, most)
    if not plan.changes:
        what = "what is not left out" if plan.left_out else "everything"
        lines.append(f"There is nothing to import: {what} is here already.")
    return "\n".join(lines).rstrip() + "\n"


def _table(plan: Plan) -> Iterator[str]:
    added, changed, removed = (plan.count(one) for one in (Action.ADD, Action.CHANGE, Action.REMOVE))
    marked = plan.count(Action.MARK)
    yield f"{'':<16}{'new':>8}{'changed':>9}{'same':>8}{'kept':>8}{'removed':>9}{'left out':>10}"
    for kind in Kind:
        numbers = (
            added[kind],
            changed[kind],
            marked[kind] + plan.same.get(kind, 0),
            plan.kept.get(kind, 0),
            removed[kind],
            plan.left_out.get(kind, 0),
        )
        if any(numbers):
            new, changes, same, kept, gone, left = numbers
            yield f"{kind.value:<16}{new:>8}{changes:>9}{same:>8}{kept:>8}{gone:>9}{left:>10}"
    for other in sorted(set(plan.left_out) - set(Kind)):  # such as roles
        yield f"{other:<16}{0:>8}{0:>9}{0:>8}{0:>8}{0:>9}{plan.left_out[other]:>10}"
    if plan.kept:
        yield "kept: stays as it is here, and the source has it in another form."


def _gone(plan: Plan, *, delete: bool, most: int | None) -> Iterator[str]:
    by_kind = defaultdict[Kind, list[str]](list)
    for item in plan.gone:
        by_kind[item.kind].append(in_words(item))
    what = "Removed here, because the source has it no more" if delete else "Not in the source any more, and stays here"
    for kind, names in by_kind.items():
        yield f"{what}: {kind.value} {names_in_words(names, most)}."
    if by_kind and not delete:
        yield "With --delete they are removed."


def _remarks(remarks: Iterable[Remark], most: int | None) -> Iterator[str]:
    """Yield a line for each thing that is said, with all of whom it is said, what is left out first."""
    said = defaultdict[tuple[str, str], list[str]](list)
    for remark in sorted(remarks, key=lambda one: not one.is_left_out):
        left = "left out: " if remark.is_left_out else ""
        said[f"{left}{remark.kind}", _sentence(remark)].append(remark.subject)
    shown_of = Counter[str]()
    for (kind, sentence), subjects in said.items():
        shown_of[kind] += 1
        if most is None or shown_of[kind] <= most:
            yield f"- {f'{kind} {names_in_words(subjects, most)}'.rstrip()}: {shown(sentence)}"
    for kind, number in shown_of.items():
        if most is not None and number > most:
            yield f"- … and {number - most} more lines of {kind}. --report-file FILE writes all."


def _sentence(remark: Remark) -> str:
    return " ".join(
        part if part.endswith((".", "!", "?")) else f"{part}." for part in (remark.what, remark.to_do) if part
    )


def names_in_words(names: Sequence[str], most: int | None) -> str:
    """Return at most *most* of the names, as a terminal may show them, and how many more there are."""
    some = ", ".join(map(shown, names[:most]))
    return some if most is None or len(names) <= most else f"{some} and {len(names) - most} more"


def shown(text: str) -> str:
    """Return *text* as a terminal may show it: what another hub has may hold anything."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
