"""What an import notes for its report: remarks, and how many items it leaves out or keeps."""

from collections import Counter
from collections.abc import Iterable, Mapping

from hubless.domain.archive import Remark
from hubless.domain.import_items import Item, Kind, in_words

EXPIRED = "has expired"  # a reason whose items are counted and not named


class Notes:
    """Collects remarks and counts while an import is planned."""

    def __init__(self, remarks: Iterable[Remark]) -> None:
        """Begin with what the reader of the source remarked."""
        self._remarks = list[Remark]()
        self._left_out, self._kept, self._expired = Counter[str](), Counter[str](), Counter[Kind]()
        for remark in remarks:
            self.add(remark)

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """Return all remarks; what has expired is one remark a kind."""
        expired = (
            Remark(kind, f"{number} of them", "have expired", is_left_out=True)
            for kind, number in self._expired.items()
        )
        return (*self._remarks, *expired)

    @property
    def left_out(self) -> Mapping[str, int]:
        """Return how many items of each kind do not come."""
        return dict(+self._left_out)

    @property
    def kept(self) -> Mapping[str, int]:
        """Return how many items of each kind stay as they are here, and differ there."""
        return dict(self._kept)

    def remark(self, kind: Kind, subject: str, what: str, to_do: str = "") -> None:
        """Note a sentence about one thing."""
        self.add(Remark(kind, subject, what, to_do))

    def add(self, remark: Remark) -> None:
        """Note a remark, and count what does not come because of it."""
        self._remarks.append(remark)
        if remark.is_left_out:
            self._left_out[remark.kind] += remark.number

    def keep(self, item: Item, what: str, to_do: str = "") -> None:
        """Note that what is here stays although the source has it in another form."""
        self._kept[item.kind] += 1
        self.remark(item.kind, in_words(item), what, to_do)

    def leave_out(self, item: Item, why: str, to_do: str = "") -> None:
        """Note that the item does not come, why, and what to do."""
        if why == EXPIRED:
            self._expired[item.kind] += 1
            self._left_out[item.kind] += 1
            return
        self.add(Remark(item.kind, in_words(item), why, to_do if why else "", is_left_out=True))

    def leave_out_with_owner(self, kind: Kind) -> None:
        """Count something that does not come because its owner, who has a remark, does not."""
        self._left_out[kind] += 1
