"""What users choose beyond a profile, and what that changes of their servers."""

import base64
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from hubless.domain.errors import InvalidRequestError, OptionRefusedError
from hubless.domain.profile_options import (
    MAX_FILE,
    Access,
    Changes,
    Choice,
    ChoiceOption,
    FileOption,
    NumberOption,
    Option,
    PerValue,
    SwitchOption,
    TextOption,
    Unlisted,
)
from hubless.domain.profiles import Profile, check_options, choose, offered
from hubless.domain.users import User

GIB = 1024**3
STUDENT = User("u1", "maria", datetime(2026, 11, 28, tzinfo=UTC), groups=("class-a",))
STRANGER = User("u2", "tom", datetime(2026, 11, 28, tzinfo=UTC))
IMAGE = ChoiceOption(
    "image",
    (
        Choice("small", changes=Changes(image="lab:small")),
        Choice("large", is_default=True, changes=Changes(image="lab:large", memory_bytes=4 * GIB, cpus=2)),
        Choice("class", access=Access(groups=("class-a",)), changes=Changes(image="lab:class")),
    ),
    display_name="Image",
    unlisted=Unlisted("Other image", r"lab:[a-z0-9-]+", Changes(image="registry/{value}")),
)
MEMORY = NumberOption("memory", 1, 8, 2, display_name="Memory", changes=Changes(memory_bytes=PerValue(GIB)))
BRANCH = TextOption("branch", pattern=r"[a-z/]+", changes=Changes(environment={"BRANCH": "{value}"}))
DEBUG = SwitchOption("debug", changes=Changes(args=("--debug",), environment={"DEBUG": "1"}))
FILE = FileOption("packages", changes=Changes(environment={"PACKAGES": "{value}"}))


def chosen(*options: Option, owner: User = STUDENT, **given: Any) -> Any:
    base = Profile("p", environment={"BRANCH": "main", "KEPT": "1"}, memory_bytes=GIB, args=("--a",), options=options)
    return choose({"p": base}, given, owner)


def refusal(*options: Option, owner: User = STUDENT, **given: Any) -> OptionRefusedError:
    with pytest.raises(OptionRefusedError) as caught:
        chosen(*options, owner=owner, **given)
    return caught.value


class TestChoices:
    def test_changes_what_the_choice_says_and_nothing_else(self) -> None:
        found = chosen(IMAGE, image="small").profile

        assert (found.image, found.memory_bytes, found.args) == ("lab:small", GIB, ("--a",))

    def test_the_default_counts_without_a_choice(self) -> None:
        for given in ({}, {"image": ""}, {"image": None}):
            found = chosen(IMAGE, **given).profile

            assert (found.image, found.memory_bytes, found.cpus) == ("lab:large", 4 * GIB, 2)

    def test_a_choice_of_a_group_is_for_its_members(self) -> None:
        assert chosen(IMAGE, image="class").profile.image == "lab:class"
        assert str(refusal(IMAGE, owner=STRANGER, image="class")) == (
            "Image cannot be 'class': choose one of small, large"
        )

    def test_the_default_of_others_is_the_first_that_they_have(self) -> None:
        option = ChoiceOption(
            "o",
            (
                Choice("a", is_default=True, access=Access(users=("maria",)), changes=Changes(image="a")),
                Choice("b", changes=Changes(image="b")),
            ),
        )

        assert chosen(option).profile.image == "a"
        assert chosen(option, owner=STRANGER).profile.image == "b"

    def test_an_option_without_a_choice_for_the_owner_changes_nothing(self) -> None:
        option = ChoiceOption("o", (Choice("a", access=Access(users=("x",)), changes=Changes(image="a")),))

        assert chosen(option).profile.image == ""
        assert "choose another profile" in str(refusal(option, o="a"))

    def test_an_unlisted_text_must_match_as_a_whole(self) -> None:
        assert chosen(IMAGE, **{"image--unlisted-choice": "lab:own"}).profile.image == "registry/lab:own"
        for wrong in ("lab:own ", "other/lab:own", "lab:own\n", "lab:" + "a" * 300):
            assert refusal(IMAGE, **{"image--unlisted-choice": wrong}).option == "image"

    def test_no_unlisted_text_without_permission(self) -> None:
        option = ChoiceOption("image", IMAGE.choices)

        assert chosen(option, **{"image--unlisted-choice": "lab:own"}).profile.image == "lab:large"

    @pytest.mark.parametrize("odd", [["small"], {"a": 1}, 1, True, 1e400, "x" * 10_000])
    def test_odd_values_are_refused_in_a_short_sentence(self, odd: Any) -> None:
        assert len(str(refusal(IMAGE, image=odd))) < 150


class TestNumbers:
    def test_an_amount_grows_with_the_number(self) -> None:
        assert chosen(MEMORY, memory=3).profile.memory_bytes == 3 * GIB
        assert chosen(MEMORY, memory="3").profile.memory_bytes == 3 * GIB
        assert chosen(MEMORY).profile.memory_bytes == 2 * GIB

    @pytest.mark.parametrize("wrong", [0, 9, 1.5, "x", "nan", "inf", float("nan"), float("inf"), True, [2], "1e400"])
    def test_a_number_out_of_its_bounds_or_steps_is_refused(self, wrong: Any) -> None:
        assert str(refusal(MEMORY, memory=wrong)).endswith("it must be a number from 1 to 8")

    def test_steps_may_be_fractions(self) -> None:
        option = NumberOption("cpus", 0.1, 2, 0.1, step=0.1, changes=Changes(cpus=PerValue(1)))

        assert chosen(option, cpus="0.7").profile.cpus == pytest.approx(0.7)
        assert str(refusal(option, cpus=0.75)).endswith("from 0.1 to 2 in steps of 0.1")

    def test_variables_have_the_number_as_people_write_it(self) -> None:
        option = NumberOption("n", 0, 9, 1, changes=Changes(environment={"N": "-n {value}"}))

        assert chosen(option, n=4.0).variables == {"N": "-n 4"}


class TestTexts:
    def test_a_text_becomes_a_variable_and_replaces_that_of_the_profile(self) -> None:
        found = chosen(BRANCH, branch="topic/x")

        assert found.variables == {"BRANCH": "topic/x"}
        assert found.profile.environment == {"KEPT": "1"}

    def test_without_a_text_the_profile_stays(self) -> None:
        assert chosen(BRANCH, branch="").profile.environment == {"BRANCH": "main", "KEPT": "1"}

    def test_a_default_counts_without_a_text(self) -> None:
        assert chosen(TextOption("t", default="x", changes=Changes(image="{value}"))).profile.image == "x"

    @pytest.mark.parametrize("wrong", ["UPPER", "two\nlines", "a\x00b", "a" * 256, 7, ["a"], {"a": "b"}])
    def test_what_does_not_match_is_refused(self, wrong: Any) -> None:
        assert refusal(BRANCH, branch=wrong).option == "branch"

    @pytest.mark.parametrize("wrong", ["two\nlines", "a\x00b", "a\u202eb"])
    def test_a_text_without_a_pattern_is_one_line(self, wrong: str) -> None:
        assert "one line without control characters" in str(refusal(TextOption("t"), t=wrong))

    def test_a_text_may_be_required(self) -> None:
        assert str(refusal(TextOption("t", "Topic", is_required=True))) == "Topic is missing: type a text"


class TestSwitches:
    @pytest.mark.parametrize("on", [True, "true", "on", "1", "Yes", ["false", "true"]])
    def test_changes_are_made_if_it_is_on(self, on: Any) -> None:
        found = chosen(DEBUG, debug=on)

        assert (found.profile.args, found.variables) == (("--a", "--debug"), {"DEBUG": "1"})

    @pytest.mark.parametrize("off", [False, "false", "off", "0", "", ["false"], None])
    def test_nothing_changes_if_it_is_off(self, off: Any) -> None:
        assert chosen(DEBUG, debug=off).profile.args == ("--a",)

    @pytest.mark.parametrize("odd", ["maybe", 2, {"a": 1}, [[]], []])
    def test_other_values_are_refused(self, odd: Any) -> None:
        assert str(refusal(DEBUG, debug=odd)) == "debug must be on or off"


class TestFiles:
    def test_its_content_comes_as_base64_without_padding(self) -> None:
        content = base64.b64encode(b"numpy\npandas\n").decode()
        assert content.endswith("=")

        variables = chosen(FILE, packages={"name": "r.txt", "content": content}).variables

        assert variables == {"PACKAGES": content.rstrip("=")}
        assert base64.b64decode(variables["PACKAGES"] + "==") == b"numpy\npandas\n"

    def test_no_file_changes_nothing(self) -> None:
        for nothing in (None, "", {}):
            assert chosen(FILE, packages=nothing).variables == {}
        assert "is missing" in str(refusal(FileOption("f", is_required=True)))

    @pytest.mark.parametrize(
        "odd",
        ["text", ["a"], {"name": "x"}, {"content": 1}, {"name": 1, "content": ""}, {"name": "x", "content": "§"}, 3],
    )
    def test_odd_files_are_refused(self, odd: Any) -> None:
        assert refusal(FILE, packages=odd).option == "packages"

    def test_a_file_has_a_bound(self) -> None:
        def of(size: int) -> dict[str, str]:
            return {"name": "f", "content": base64.b64encode(bytes(size)).decode()}

        assert chosen(FILE, packages=of(MAX_FILE)).variables
        for size in (MAX_FILE + 1, 2 * MAX_FILE, 100 * MAX_FILE):
            assert "too large: at most 8192 bytes" in str(refusal(FILE, packages=of(size)))
        assert "at most 9 bytes" in str(refusal(FileOption("f", max_bytes=9), f=of(10)))


class TestProfiles:
    OFFERED: ClassVar = {
        "a": Profile("a"),
        "b": Profile("b", is_default=True, access=Access(groups=("class-a",))),
        "c": Profile("c", access=Access(users=("tom",))),
    }

    def test_users_are_offered_what_they_may_choose_and_the_default_first(self) -> None:
        assert list(offered(self.OFFERED, STUDENT)) == ["b", "a"]
        assert list(offered(self.OFFERED, STRANGER)) == ["a", "c"]

    def test_the_first_that_is_offered_counts_without_a_choice(self) -> None:
        assert choose(self.OFFERED, {}, STUDENT).profile.name == "b"
        assert choose(self.OFFERED, {}, STRANGER).profile.name == "a"

    def test_what_is_not_offered_does_not_exist(self) -> None:
        with pytest.raises(InvalidRequestError, match="No such profile: 'c'; choose one of b, a"):
            choose(self.OFFERED, {"profile": "c"}, STUDENT)
        with pytest.raises(InvalidRequestError, match="Ask an admin"):
            choose({"c": self.OFFERED["c"]}, {}, STUDENT)

    def test_a_launch_asks_for_no_permission_again(self) -> None:
        assert choose(self.OFFERED, {"profile": "c"}, None).profile.name == "c"
        assert choose(self.OFFERED, {"profile": "c"}, STUDENT, was_asked=True).profile.name == "c"
        left = choose({"p": Profile("p", options=(IMAGE,))}, {"image": "class"}, STRANGER, was_asked=True)
        assert left.profile.image == "lab:class"
        with pytest.raises(OptionRefusedError):
            choose({"p": Profile("p", options=(IMAGE,))}, {"image": "gone"}, STRANGER, was_asked=True)

    def test_at_a_launch_the_default_is_the_owners_as_at_the_request(self) -> None:
        a = Choice("a", is_default=True, access=Access(groups=("class-a",)), changes=Changes(image="a"))
        option = ChoiceOption("o", (a, Choice("b", changes=Changes(image="b"))))
        offers = {"p": Profile("p", options=(option, MEMORY))}

        for owner, image in ((STUDENT, "a"), (STRANGER, "b")):
            assert choose(offers, {"memory": 3}, owner, was_asked=True).profile.image == image

    def test_later_options_change_what_earlier_ones_left(self) -> None:
        found = chosen(IMAGE, MEMORY, DEBUG, image="large", memory=8, debug=True).profile

        assert (found.image, found.memory_bytes, found.cpus) == ("lab:large", 8 * GIB, 2)
        assert found.args == ("--a", "--debug")

    def test_keys_that_are_no_options_mean_nothing(self) -> None:
        assert chosen(IMAGE, other="x", image="small").profile.image == "lab:small"

    def test_options_have_a_bound_and_reserved_keys(self) -> None:
        check_options({"text": "x" * 16_000})
        for wrong in ({"text": "x" * 17_000}, {"__jupyterhub_x": 1}):
            with pytest.raises(InvalidRequestError, match="user_options may"):
                check_options(wrong)

    def test_profiles_that_were_changed_alike_are_one(self) -> None:
        assert len({chosen(IMAGE, BRANCH, image="small", branch=b).profile for b in ("x", "y")}) == 1
