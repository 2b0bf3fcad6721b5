# ruff: noqa: RUF001 letters that look alike are what some of this is about
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubless.domain.errors import InvalidRequestError
from hubless.domain.pasted_people import (
    MAX_CELL,
    MAX_COLUMNS,
    MAX_PASTE,
    MAX_PEOPLE,
    Column,
    decoded,
    people,
    read,
    user_name_of,
)


def people_of(text):
    table = read(text)
    return list(people(table, table.columns))


def names_of(text):
    return [one.user_name for one in people_of(text)]


@pytest.mark.parametrize(
    "text",
    [
        "anna\nbert\ncarl",
        "anna\r\nbert\r\ncarl\r\n",
        "anna\rbert\rcarl",
        "\n  anna \n\n\tbert\n   \ncarl",
        "anna, bert, carl",
        "anna; bert ;carl;",
        "anna,bert\ncarl",
        "anna; bert\ncarl",
        "anna,\nbert,\ncarl,",
        '"anna","bert","carl"',
        "username\nanna\nbert\ncarl",
        "Benutzername\nanna\nbert\ncarl",
        "\ufeffusuario\nanna\nbert\ncarl",
        "sep=;\nanna;bert;carl",
    ],
)
def test_names_come_one_a_line_or_as_a_list(text):
    assert names_of(text) == ["anna", "bert", "carl"]
    assert read(text).is_sure


ANNA = ("anna.mueller", "Anna Müller", "anna@schule.example", ("10b",))
SCHOOLS = {
    "a German list": "Name;Vorname;E-Mail;Klasse\nMüller;Anna;anna@schule.example;10b",
    "with a title": "Klasse 10b – Physik;;;\n\nName;Vorname;E-Mail;Klasse\nMüller;Anna;anna@schule.example;10b",
    "with numbers": "Nr.;Nachname;Vorname;Geb.;E-Mail-Adresse;Klasse\n1;Müller;Anna;1.2.2010;anna@schule.example;10b",
    "of a spreadsheet": "Vorname\tNachname\tE-Mail\tGruppe\nAnna\tMüller\tanna@schule.example\t10b\n\t\t\t\n",
    "in quotes": '"First name","Last name","E-mail","Class"\n"Anna","Müller","anna@schule.example","10b"',
    "in Spanish": "Apellidos;Nombre;Correo electrónico;Grupo\nMüller;Anna;anna@schule.example;10b",
    "with a whole name": 'Schüler;Mail;Kurs\n"Müller, Anna";anna@schule.example;10b',
    "with a name": 'Name;Mail;Kurs\n"Müller, Anna";anna@schule.example;10b',
    "with blanks": " Vorname ; Nachname ; E-Mail ; Klasse \n Anna ; Müller ; anna@schule.example ; 10b ",
    "of Excel": "sep=;\nVorname;Nachname;E-Mail;Klasse\nAnna;Müller;anna@schule.example;10b",
}


@pytest.mark.parametrize("text", SCHOOLS.values(), ids=SCHOOLS.keys())
def test_lists_as_schools_have_them_are_read(text):
    (found,) = people_of(text)
    full = " ".join(reversed(found.full_name.split(", ")))
    assert (found.user_name, full, found.email, found.groups) == ANNA
    assert read(text).is_sure


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_files_of_every_usual_encoding_are_read(encoding):
    (found,) = people_of(decoded(SCHOOLS["a German list"].encode(encoding)))
    assert found.full_name == "Anna Müller"


@pytest.mark.parametrize("content", [b"PK\x03\x04 and more", b"\xd0\xcf\x11\xe0", b"%PDF-1.7"])
def test_a_workbook_is_refused_with_what_to_do(content):
    with pytest.raises(InvalidRequestError, match="Save it as CSV"):
        decoded(content)


def test_a_user_name_and_a_password_are_taken_as_they_are():
    (found,) = people_of('user name,password,groups\nAnna.M,"a,b;c""d","physics; lab, 10b"')
    assert (found.user_name, found.password, found.groups) == ("Anna.M", 'a,b;c"d', ("physics", "lab", "10b"))


def test_the_address_names_who_has_no_other_name():
    assert names_of("E-Mail;Kurs\nAnna.M@example.org;10b") == ["anna.m"]
    assert names_of("anna@example.org, bert@example.org") == ["anna", "bert"]


def test_addresses_of_a_mail_program_have_names_too():
    found = people_of("Anna Müller <am@example.org>, Bert <bert@example.org>")
    assert [(one.user_name, one.email) for one in found] == [
        ("anna.mueller", "am@example.org"),
        ("bert", "bert@example.org"),
    ]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("Müller, Anna\nSchmidt, Bert", ["last", "first"]),
        ("Schüler\nMüller, Anna\nSchmidt, Bert", ["last", "first"]),
        ("1\tAnna Müller\n2\tBert Schmidt", ["", "person"]),
        ("am;am@example.org\nbs;bs@example.org", ["user", "email"]),
        ("Klasse;Vorname\n10b;Anna", ["group", "first"]),
        ("10b\nam;am@example.org;x\nbs;bs@example.org;y", ["user", "email", ""]),
    ],
)
def test_what_is_not_sure_is_asked(text, columns):
    table = read(text)
    assert (list(table.columns), table.is_sure) == (columns, False)


def test_a_chosen_column_counts():
    table = read("am;Anna\nbs;Bert")
    found = people(table, [Column.IGNORED, Column.USER])
    assert [one.user_name for one in found] == ["Anna", "Bert"]


def test_a_row_knows_its_line_and_what_stood_there():
    table = read('Title\n\nusername;groups\nanna;"a;b"\nbert;"one\ntwo"\n\ncarl;c')
    assert [(row.line, row.text) for row in table.rows] == [
        (4, 'anna;"a;b"'),
        (5, 'bert;"one\ntwo"'),
        (8, "carl;c"),
    ]
    assert (table.header.line, table.header.text) == (3, "username;groups")


def test_a_second_column_of_a_kind_is_left_out_except_groups():
    (found,) = people_of("username;email;email;class;course\nanna;a@x.org;b@x.org;10b;physics")
    assert (found.email, found.groups) == ("a@x.org", ("10b", "physics"))


@pytest.mark.parametrize(
    ("full_name", "made"),
    [
        ("Anna Müller", "anna.mueller"),
        ("Müller, Anna", "anna.mueller"),
        ("Weiß-Groß, Jörg", "joerg.weiss-gross"),
        ("José Ñandú O’Neil", "jose.nandu.oneil"),
        ("Mu\u0308ller, A.", "a.mueller"),
        ("Анна Иванова", "анна.иванова"),
        ("  ", ""),
        ("- ,", ""),
    ],
)
def test_user_names_are_made_of_names(full_name, made):
    assert user_name_of(full_name) == made


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x" * (MAX_PASTE + 1), "too long"),
        ("a\n" * 3 + "\n".join(f"u{n}" for n in range(MAX_PEOPLE)), "too long"),
        (",".join(f"u{n}" for n in range(MAX_PEOPLE + 1)), "too long"),
        ("anna;" + "x" * (MAX_CELL + 1), "Line 1 has a cell"),
        ('anna\n"bert\n' + "x\n" * MAX_CELL, "Line 2 has a cell"),
        ("user;email\nanna;a@x.org" + ";x" * MAX_COLUMNS, "Line 2 has more than"),
    ],
)
def test_too_much_is_refused_with_its_line(text, words):
    with pytest.raises(InvalidRequestError, match=words):
        read(text)


def test_as_many_people_as_allowed_are_read():
    assert len(names_of("username\n" + "\n".join(f"u{n}" for n in range(MAX_PEOPLE)))) == MAX_PEOPLE


pieces = st.sampled_from([*'ab";,|\t\n\r @<>.ü', "name", "E-Mail;", "sep=;\n", "Müller, Anna"])


@given(st.lists(pieces, max_size=60).map("".join) | st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    try:
        table = read(text)
    except InvalidRequestError:
        return
    assert len(table.columns) == len(set(table.columns)) or table.columns.count("") or table.columns.count("group")
    for one in people(table, table.columns):
        assert one.row.text.strip()


@given(st.binary(max_size=300))
def test_any_file_is_text_or_refused(content):
    with contextlib.suppress(InvalidRequestError):
        assert isinstance(decoded(content), str)


user_names = st.lists(st.from_regex(r"[a-z][a-z0-9.-]{0,8}\d", fullmatch=True), min_size=2, max_size=8, unique=True)


@given(user_names, st.sampled_from(["\n", ", ", ";", "\r\n", "\n\n", ";\n"]))
def test_a_list_of_names_is_read_whatever_stands_between(wanted, between):
    assert names_of(between.join(wanted)) == wanted


@given(st.lists(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8), min_size=1, max_size=6))
def test_mended_lines_are_read_as_before(cells):
    text = "username;password\n" + "\n".join(f'u{n};"{c.replace(chr(34), chr(34) * 2)}"' for n, c in enumerate(cells))
    table = read(text)
    again = read("\n".join([table.header.text, *(row.text for row in table.rows)]))
    assert [row.cells for row in again.rows] == [row.cells for row in table.rows]
    assert [row.cells[1] for row in table.rows] == cells
