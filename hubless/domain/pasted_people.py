"""People as somebody pastes them: names one a line, lists, and tables of spreadsheets and CSV files (RFC 4180).

Nothing here knows the hub's users. Everything is bounded: bytes, characters, lines, columns and cells.
"""

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email.utils import parseaddr
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from hubless.domain.errors import InvalidRequestError
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

MAX_PASTE: Final = 200_000  # characters, and twice as many bytes of a file: UTF-16 has two for each
MAX_PEOPLE: Final = 1000  # at once
MAX_COLUMNS: Final = 40
MAX_CELL: Final = 2000  # characters
_HEADER_WITHIN = 6  # lines: a title and a blank line or two may stand above it
_MOST = 0.5  # of the cells of a column
_DELIMITERS = "\t;,|"  # the first one wins where several fit


class Column(StrEnum):
    """What a column says of people."""

    IGNORED = ""
    USER = "user"
    PERSON = "person"  # the whole name
    FIRST = "first"
    LAST = "last"
    EMAIL = "email"
    GROUP = "group"
    PASSWORD = "password"  # noqa: S105 a kind of column


_ONCE = frozenset(Column) - {Column.IGNORED, Column.GROUP}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Titles of columns in English, German and Spanish, as `_word` writes them.
_TITLES: Final[Mapping[Column, frozenset[str]]] = MappingProxyType(
    {
        Column.USER: _words(
            "username user users usernames userid login loginname loginid account accountname uid"
            " benutzername benutzer nutzername nutzer benutzerkennung nutzerkennung kennung anmeldename kontoname"
            " usuario usuarios nombredeusuario nombreusuario cuenta identificador"
        ),
        Column.PERSON: _words(
            "fullname displayname student students studentname pupil learner participant person"
            " vollername vollstandigername namevorname vornamename vornamenachname nachnamevorname"
            " schuler schulerin schulerinnen schulername studierende studierender teilnehmer teilnehmende"
            " nombrecompleto apellidosynombre apellidosynombres nombreyapellido nombreyapellidos apellidosnombre"
            " alumno alumna alumnos alumnado estudiante estudiantes participante"
        ),
        Column.FIRST: _words(
            "firstname firstnames givenname givennames forename vorname vornamen rufname nombredepila primernombre"
            " nombres"
        ),
        Column.LAST: _words(
            "lastname surname familyname nachname familienname zuname apellido apellidos primerapellido"
        ),
        Column.EMAIL: _words(
            "email emails emailaddress mail mailaddress mailadresse emailadresse epost schulemail schoolemail"
            " correo correoelectronico direcciondecorreo email1"
        ),
        Column.GROUP: _words(
            "group groups class classes course courses section cohort group1 group2 group3"
            " gruppe gruppen klasse klassen kurs kurse lerngruppe grupo grupos clase curso seccion"
        ),
        Column.PASSWORD: _words(
            "password passwd initialpassword temporarypassword passwort kennwort startpasswort erstpasswort"
            " initialpasswort contrasena clave contrasenainicial"
        ),
    }
)
_KIND_OF_TITLE = {word: kind for kind, words in _TITLES.items() for word in words}
_EITHER = frozenset({"name", "names", "namen", "nombre"})  # a login name, a whole name or a part of it
_NUMBERS = frozenset({"nr", "no", "n", "num", "lfdnr", "id", "number", "nummer", "numero", "matrikelnummer"})


@value
class Row:
    """One line of a table, or one name of a list. *text* is what it was in the paste, so that it can be mended."""

    line: int  # of the paste, from 1
    text: str
    cells: tuple[str, ...]


@value
class Table:
    """What was pasted: the rows of people, the titles of columns if there are any, and what each column seems to be."""

    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    header: Row | None = None
    is_sure: bool = True  # False where a person should say what the columns are

    @property
    def width(self) -> int:
        """Return the number of columns."""
        return len(self.columns)


@value
class PastedPerson:
    """A person as a row describes them; nothing is checked yet."""

    row: Row
    user_name: str  # "" where the row says nothing of which one can be made
    full_name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()
    password: str = ""


def decoded(content: bytes) -> str:
    """Return the text of a file: UTF-8, UTF-16 (with or without a byte-order mark) or Windows-1252.

    Raises:
        InvalidRequestError: when it is too large, or no text.
    """
    if len(content) > 2 * MAX_PASTE:
        raise InvalidRequestError(TOO_LONG)
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF")):
        raise InvalidRequestError(
            _("This is a workbook or a document. Save it as CSV, or copy its cells and paste them into the box.")
        )
    try:
        return content.decode(_encoding_of(content))
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _encoding_of(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    zeros = content[:200].count(0)
    if zeros and zeros >= len(content[:200]) // 4:  # ASCII letters in UTF-16 have a zero byte each
        return "utf-16-le" if content[1:200:2].count(0) >= content[:200:2].count(0) else "utf-16-be"
    return "utf-8-sig"


TOO_LONG = _(
    "This is too long: at most %(characters)s characters and %(people)s people at once.",
    characters=f"{MAX_PASTE:,}",
    people=f"{MAX_PEOPLE:,}",
)


def read(text: str) -> Table:
    """Return what was pasted. An empty paste has no rows.

    Raises:
        InvalidRequestError: when it is too long, has too many people or columns, or a quote that does not end.
    """
    if len(text) > MAX_PASTE:
        raise InvalidRequestError(TOO_LONG)
    text = text.removeprefix("\ufeff").replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    given, text = _named_delimiter(text)
    for delimiter in (given,) if given else _DELIMITERS:
        rows = _rows(text, delimiter, first=2 if given else 1)
        header = _header_at(rows)
        if header is not None and (len(_filled(rows[header])) > 1 or given):
            return _with_header(rows, header)
    delimiter = given or _delimiter_of(text)
    rows = _rows(text, delimiter, first=2 if given else 1)
    if (header := _header_at(rows)) is not None:
        return _with_header(rows, header)
    if _is_list(rows, delimiter):
        return _as_list(rows)
    return _without_header(_without_title(rows))


def _named_delimiter(text: str) -> tuple[str, str]:
    """Return the delimiter that the first line names for Excel (`sep=;`), and the text after it; "" if it does not."""
    first, _newline, rest = text.partition("\n")
    named = first.strip().strip('"').lower()
    is_named = len(named) == len("sep=;") and named.startswith("sep=") and named[-1] in _DELIMITERS
    return (named[-1], rest) if is_named else ("", text)


def _rows(text: str, delimiter: str, *, first: int) -> list[Row]:
    """Return the lines that are not blank, cut at *delimiter*.

    Raises:
        InvalidRequestError: see `read`.
    """
    lines = text.split("\n")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    rows, before = [], 0
    try:
        for cells in reader:
            here, before = before, reader.line_num
            trimmed = tuple(cell.strip() for cell in cells)
            if not any(trimmed):
                continue
            _check_size(trimmed, here + first)
            rows.append(Row(here + first, "\n".join(lines[here:before]), trimmed))
            if len(rows) > MAX_PEOPLE + _HEADER_WITHIN:
                raise InvalidRequestError(TOO_LONG)
    except csv.Error as fault:
        raise InvalidRequestError(
            _("Line %(line)s cannot be read as CSV: a quote does not end, perhaps.", line=before + first)
        ) from fault
    return rows


def _check_size(cells: Sequence[str], line: int) -> None:
    if any(len(cell) > MAX_CELL for cell in cells):
        raise InvalidRequestError(
            _("Line %(line)s has a cell that is too long: perhaps a quote before it does not end.", line=line)
        )
    # A list of names on one line may be longer than a table is wide.
    if len(cells) > MAX_PEOPLE + 1:
        raise InvalidRequestError(TOO_LONG)


def _delimiter_of(text: str) -> str:
    """Return what cuts most lines into the same number of cells, or a comma.

    The standard library's `Sniffer` takes letters for delimiters of short lists, so it is not asked.
    """
    best, delimiter = (0, 0), ","
    for one in _DELIMITERS:
        rows = [row for row in _rows(text, one, first=1) if len(row.cells) > 1]
        if not rows:
            continue
        widths = Counter(len(row.cells) for row in rows)
        score = (widths.most_common(1)[0][1], sum(len(_filled(row)) for row in rows))
        if score > best:
            best, delimiter = score, one
    return delimiter


def _filled(row: Row) -> list[str]:
    return [cell for cell in row.cells if cell]


# --- titles ---


def _word(cell: str) -> str:
    """Return a title without case, accents, blanks and marks: `E-Mail-Adresse` becomes `emailadresse`."""
    plain = unicodedata.normalize("NFKD", cell[:60].casefold())
    return "".join(c for c in plain if c.isascii() and c.isalnum())


def _header_at(rows: Sequence[Row]) -> int | None:
    """Return which of the first rows has the titles of columns, if one has."""
    for number, row in enumerate(rows[:_HEADER_WITHIN]):
        filled = _filled(row)
        words = [_word(cell) for cell in filled]
        known = [word for word in words if word in _KIND_OF_TITLE or word in _EITHER]
        is_table = len(filled) > 1
        needed = max(1, len(filled) / 3) if is_table else 1
        if len(filled) > MAX_COLUMNS or any("@" in cell for cell in filled) or len(known) < needed:
            continue
        if is_table and len(known) == 1 and known[0] in _EITHER and not any(word in _NUMBERS for word in words):
            continue  # "name, anna, bert" is a list
        if (is_table and len(rows) > number + 1) or (not is_table and number == 0 and len(rows) > 1):
            return number
    return None


def _with_header(rows: Sequence[Row], at: int) -> Table:
    header, people = rows[at], _as_wide(rows[at + 1 :])
    if len(_filled(header)) == 1 and any(len(_filled(row)) > 1 for row in people):
        return _without_header(people)  # a title above names such as "Müller, Anna"
    kinds = [_KIND_OF_TITLE.get(_word(cell), Column.IGNORED) for cell in header.cells[:MAX_COLUMNS]]
    for number, cell in enumerate(header.cells[:MAX_COLUMNS]):
        if (word := _word(cell)) in _EITHER:
            kinds[number] = _kind_of_name(word, kinds, [row.cells[number] for row in people if len(row.cells) > number])
    width = max([len(kinds), *(len(row.cells) for row in people)])
    columns = _each_once([*kinds, *[Column.IGNORED] * (width - len(kinds))])
    return Table(_bounded(people), columns, header, is_sure=_names_people(columns))


def _kind_of_name(word: str, kinds: Sequence[Column], cells: Sequence[str]) -> Column:
    """Return what a column with the title "name" has: beside a first name the last one, and the other way round."""
    if Column.LAST in kinds and Column.FIRST not in kinds:
        return Column.FIRST
    if Column.FIRST in kinds and Column.LAST not in kinds:
        return Column.LAST
    if Column.USER in kinds or word == "nombre":
        return Column.PERSON
    return Column.PERSON if _share(cells, _looks_like_whole_name) > _MOST else Column.USER


def _names_people(columns: Iterable[Column]) -> bool:
    return any(one in columns for one in (Column.USER, Column.PERSON, Column.EMAIL)) or (
        Column.FIRST in columns and Column.LAST in columns
    )


def _each_once(kinds: Iterable[Column]) -> tuple[Column, ...]:
    """Return *kinds* without the second column of a kind of which a person has one."""
    seen: set[Column] = set()
    found = []
    for kind in kinds:
        found.append(Column.IGNORED if kind in seen and kind in _ONCE else kind)
        seen.add(kind)
    return tuple(found)


# --- tables without titles, and lists ---


def _share(cells: Sequence[str], fits: re.Pattern[str]) -> float:
    filled = [cell for cell in cells if cell]
    return sum(bool(fits.search(cell)) for cell in filled) / len(filled) if filled else 0.0


_looks_like_whole_name = re.compile(r"[^\W\d],?\s+[^\W\d]")
_looks_like_part_of_name = re.compile(r"^[^\W\d_a-z]")  # it begins with a capital
_looks_like_number = re.compile(r"^\d+\.?$")
_looks_like_mail = re.compile(r"^[^\s@]+@[^\s@]+\.[^\s@]+$")
_looks_like_named_mail = re.compile(r"^[^<>@]*<[^\s@<>]+@[^\s@<>]+>$")


def _without_title(rows: Sequence[Row]) -> Sequence[Row]:
    """Return *rows* without a first one that has one cell where all others have more."""
    if len(rows) > 2 and len(_filled(rows[0])) == 1 and all(len(_filled(row)) > 1 for row in rows[1:]):  # noqa: PLR2004
        return rows[1:]
    return rows


def _is_list(rows: Sequence[Row], delimiter: str) -> bool:
    """Say whether the cells are people, and not what lines say of them."""
    cells = [cell for row in rows for cell in _filled(row)]
    if max((len(_filled(row)) for row in rows), default=0) < 2:  # noqa: PLR2004
        return True
    if len(rows) == 1:
        return _share(cells, _looks_like_mail) != _MOST or len(cells) > 3  # noqa: PLR2004 not "anna;anna@example.org"
    has_mails = _share(cells, _looks_like_mail) or _share(cells, _looks_like_named_mail)
    if has_mails:
        return has_mails > 0.9  # noqa: PLR2004
    widths = Counter(len(_filled(row)) for row in rows)
    if delimiter == "\t":
        return False  # of a spreadsheet
    return widths.most_common(1)[0][1] < len(rows) or max(widths) > 3 or all(map(str.islower, cells))  # noqa: PLR2004


def _as_list(rows: Sequence[Row]) -> Table:
    """Return one row for each cell; `Anna Müller <anna@example.org>` has two."""
    cells = [(row, cell) for row in rows for cell in _filled(row)]
    texts = [cell for _row, cell in cells]
    if _share(texts, _looks_like_named_mail) > _MOST:
        people = [Row(row.line, _quoted(cell), parseaddr(cell)) for row, cell in cells]
        return Table(_bounded(people), (Column.PERSON, Column.EMAIL))
    kind = Column.USER
    if _share(texts, _looks_like_mail) > _MOST:
        kind = Column.EMAIL
    elif _share(texts, _looks_like_whole_name) > _MOST:
        kind = Column.PERSON
    return Table(_bounded([Row(row.line, _quoted(cell), (cell,)) for row, cell in cells]), (kind,))


def _quoted(cell: str) -> str:
    """Return *cell* as it must stand on a line of its own to be one cell again."""
    needs_quotes = any(c in cell for c in (*_DELIMITERS, '"', "\n"))
    return '"{}"'.format(cell.replace('"', '""')) if needs_quotes else cell


def _without_header(rows: Sequence[Row]) -> Table:
    people = _as_wide(rows)
    width = max((len(row.cells) for row in people), default=0)
    kinds = [Column.IGNORED] * width
    cells = [[row.cells[number] for row in people if len(row.cells) > number] for number in range(width)]
    for number in range(width):
        if _share(cells[number], _looks_like_mail) > _MOST and Column.EMAIL not in kinds:
            kinds[number] = Column.EMAIL
    others = [
        n
        for n in range(width)
        if kinds[n] is Column.IGNORED and any(cells[n]) and _share(cells[n], _looks_like_number) <= _MOST
    ]
    two = others[:2]
    if len(others) >= 2 and all(_share(cells[n], _looks_like_part_of_name) > _MOST for n in two):  # noqa: PLR2004
        kinds[two[0]], kinds[two[1]] = Column.LAST, Column.FIRST
    elif others:
        first = others[0]
        is_whole = _share(cells[first], _looks_like_whole_name) > _MOST
        kinds[first] = Column.PERSON if is_whole else Column.USER
    return Table(_bounded(people), tuple(kinds), is_sure=False)


def _as_wide(rows: Iterable[Row]) -> list[Row]:
    found = []
    for row in rows:
        if len(row.cells) > MAX_COLUMNS and any(row.cells[MAX_COLUMNS:]):
            raise InvalidRequestError(
                _("Line %(line)s has more than %(most)s columns.", line=row.line, most=MAX_COLUMNS)
            )
        found.append(Row(row.line, row.text, row.cells[:MAX_COLUMNS]))
    return found


def _bounded(rows: Sequence[Row]) -> tuple[Row, ...]:
    if len(rows) > MAX_PEOPLE:
        raise InvalidRequestError(TOO_LONG)
    return tuple(rows)


# --- people ---


def people(table: Table, columns: Sequence[Column]) -> Iterator[PastedPerson]:
    """Yield the person of each row of *table*, whose *columns* are these."""
    for row in table.rows:
        cells = dict[Column, str]()
        groups: list[str] = []
        for kind, cell in zip(columns, row.cells, strict=False):
            if kind is Column.GROUP:
                groups += (part.strip() for part in re.split(r"[,;|]", cell))
            elif cell:
                cells.setdefault(kind, cell)
        both = " ".join(filter(None, (cells.get(Column.FIRST), cells.get(Column.LAST))))
        full, email = cells.get(Column.PERSON) or both, cells.get(Column.EMAIL, "")
        made = user_name_of(cells.get(Column.PERSON) or both.replace(",", " "))
        yield PastedPerson(
            row,
            cells.get(Column.USER) or made or email.partition("@")[0].lower(),
            full,
            email,
            tuple(dict.fromkeys(filter(None, groups))),
            cells.get(Column.PASSWORD, ""),
        )


_WRITTEN_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa", "œ": "oe"})
_NOT_IN_NAMES = re.compile(r"[^\w-]+")


def user_name_of(full_name: str) -> str:
    """Return a user name made of a person's: `Anna Müller` and `Müller, Anna` become `anna.mueller`.

    Letters that have no plain form stay, such as those of other scripts.
    """
    last, comma, first = full_name.partition(",")
    composed = unicodedata.normalize("NFC", f"{first} {last}" if comma else full_name).lower()
    spread = unicodedata.normalize("NFKD", composed.translate(_WRITTEN_OUT))
    plain = unicodedata.normalize("NFC", "".join(c for c in spread if not "\u0300" <= c <= "\u036f"))
    parts = [part.strip("-_") for part in _NOT_IN_NAMES.split(plain.replace("'", "").replace("\u2019", ""))]
    return ".".join(filter(None, parts))
