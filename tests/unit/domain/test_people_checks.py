# ruff: noqa: RUF001 letters that look alike are what some of this is about
import pytest

from hubless.domain.pasted_people import people, read
from hubless.domain.people_checks import KnownFacts, Outcome, checked


def check(text, *, holders=None, reserved="", easy="", more_groups=()):
    table = read(text)
    facts = KnownFacts(
        holders or {},
        lambda name: "No such name" if name == reserved else "",
        lambda _name, password, _email: "Too easy" if password == easy else "",
        lambda _name, groups: "Not this group" if "secret" in groups else "",
    )
    return checked(people(table, table.columns), facts, more_groups=more_groups)


def test_a_new_person_is_added_as_the_hub_would_store_it():
    (one,) = check("user;email;groups;password\nANNA;Anna@Example.ORG;10b;long enough", more_groups=["physics", "10b"])
    assert one.is_good
    assert (one.outcome, one.user_name, one.email) == (Outcome.NEW, "anna", "Anna@example.org")
    assert (one.groups, one.password) == (("10b", "physics"), "long enough")


def test_a_user_who_is_here_keeps_the_password():
    (one,) = check("user;password\nAnna;1", holders={"anna": "anna"}, easy="1")
    assert (one.outcome, one.user_name, one.password) == (Outcome.KNOWN, "anna", "")


def test_a_name_from_before_names_were_composed_is_known():
    (one,) = check("user\nﬁn", holders={"fin": "ﬁn"})
    assert (one.outcome, one.user_name) == (Outcome.KNOWN, "ﬁn")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("user\na/b", "has a slash"),
        ("user;class\n;10b", "says no name"),
        ("user\n" + "x" * 256, "longer than 255"),
        ("user;email\nanna;anna at home", "no e-mail address"),
        ("user;class\nanna;a/b", "Invalid group name"),
        ("user;password\nanna;1", "Too easy"),
        ("user\nroot", "No such name"),
        ("user;class\nanna;10b,secret", "Not this group"),
        ("user\naliсe", "mixes letters"),
        ("user\nбов", "looks like bob, who is a user already"),
    ],
)
def test_a_fault_is_said_in_a_sentence(text, fault):
    found = check(text, holders={"бов": "bob"}, reserved="root", easy="1")
    assert [fault in one.fault for one in found] == [True]
    assert not found[0].is_good


def test_who_comes_twice_is_told_where():
    found = check("user\nanna\nbert\nAnna")
    assert [one.is_good for one in found] == [True, True, False]
    assert found[2].fault == "'anna' is on line 2 already."


def test_names_of_one_paste_must_not_look_alike():
    found = check("user\ntom\nтом")
    assert [one.fault for one in found] == ["", "'том' looks like tom on line 2."]
