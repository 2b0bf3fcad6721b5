"""`[[profiles]]` in a file: what is read, and which faults are named."""

import re
from datetime import time
from pathlib import Path

import pytest

from hubless.domain.profile_options import (
    Access,
    Changes,
    ChoiceOption,
    FileOption,
    NumberOption,
    PerValue,
    SwitchOption,
    TextOption,
)
from hubless.domain.profiles import Profile, choose
from hubless.domain.spares import Warmth
from hubless.settings import SettingsError, parse
from hubless.settings.profiles import ON_ONE_MACHINE, WITH_HOMES, require_no_spares

GIB = 1024**3
HOURS = '{ days = ["monday"], begins = "08:00", ends = "12:00", timezone = "UTC" }'
WHOLE = """
[hub]
currency = "$"
[servers]
environment = { SHARED = "1", BOTH = "hub" }
[[profiles]]
name = "lab"
display_name = "Lab"
picture = "lab.png"
default = true
groups = ["class-a"]
users = ["Maria"]
environment = { BOTH = "profile" }
gpus = 1
storage = "30G"
price_per_hour = 0.25
[[profiles.options]]
name = "image"
default = "large"
[[profiles.options.choices]]
name = "small"
image = "lab:small"
[[profiles.options.choices]]
name = "large"
groups = ["class-a"]
image = "lab:large"
memory = "4G"
cpus = 2
price_per_hour = 0.5
[profiles.options.unlisted]
display_name = "Other"
pattern = "lab:.+"
image = "{value}"
[[profiles.options]]
name = "memory"
kind = "number"
minimum = 1
maximum = 16
default = 2
unit = "GiB"
memory = "{value}G"
cpus = "{value}"
[[profiles.options]]
name = "branch"
kind = "text"
pattern = "[a-z]+"
environment = { BRANCH = "{value}" }
[[profiles.options]]
name = "debug"
kind = "switch"
default = true
args = ["--debug"]
[[profiles.options]]
name = "packages"
kind = "file"
accept = ".txt"
environment = { PACKAGES = "{value}" }
"""


def profiles(text: str) -> tuple[Profile, ...]:
    return parse(text, Path("/srv/hub"), {}).profiles


def complaint(options: str, *, profile: str = "") -> str:
    with pytest.raises(SettingsError) as caught:
        profiles(f'[[profiles]]\nname = "p"\n{profile}\n{options}')
    return str(caught.value).removeprefix("hubless.toml: ")


def option(text: str) -> str:
    return f'[[profiles.options]]\nname = "o"\n{text}'


class TestReading:
    def test_everything_of_a_profile_is_read(self) -> None:
        (lab,) = profiles(WHOLE)

        assert (lab.title, lab.picture, lab.is_default, lab.gpus) == ("Lab", "lab.png", True, 1)
        assert lab.access == Access(("class-a",), ("maria",))
        assert lab.environment == {"SHARED": "1", "BOTH": "profile"}
        assert (lab.storage_bytes, lab.price_per_hour) == (30 * GIB, 0.25)
        assert [type(one) for one in lab.options] == [ChoiceOption, NumberOption, TextOption, SwitchOption, FileOption]

    def test_choices_are_read_with_what_they_change(self) -> None:
        image = profiles(WHOLE)[0].options[0]

        assert isinstance(image, ChoiceOption)
        large = image.choices[1]
        assert (large.is_default, large.access) == (True, Access(("class-a",)))
        assert large.changes == Changes("lab:large", memory_bytes=4 * GIB, cpus=2.0, price_per_hour=0.5)
        assert image.unlisted is not None
        assert image.unlisted.changes.image == "{value}"

    def test_a_number_decides_amounts(self) -> None:
        memory = profiles(WHOLE)[0].options[1]

        assert isinstance(memory, NumberOption)
        assert (memory.changes.memory_bytes, memory.changes.cpus) == (PerValue(GIB), PerValue(1.0))
        assert choose({"p": Profile("p", options=(memory,))}, {"memory": 3}, None).profile.memory_bytes == 3 * GIB

    def test_variables_of_all_servers_come_without_profiles_too(self) -> None:
        assert profiles('[servers]\nenvironment = { A = "1" }')[0].environment == {"A": "1"}


class TestWarmth:
    def test_spares_wait_always_or_within_hours(self) -> None:
        cold, always, mornings = profiles(
            """
            [[profiles]]
            name = "cold"
            [[profiles]]
            name = "always"
            warm = 3
            [[profiles]]
            name = "mornings"
            warm = 50
            warm_hours = { days = ["monday"], begins = "08:00", ends = 12:30:00, timezone = "Europe/Berlin" }
            """
        )

        assert (cold.warmth, always.warmth) == (Warmth(), Warmth(3))
        assert mornings.warmth.count == 50
        assert mornings.warmth.hours is not None
        assert (mornings.warmth.hours.days, mornings.warmth.hours.ends) == (frozenset({0}), time(12, 30))

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("warm = -1", "profiles.a.warm is -1, but it must be an integer from 0 to 50"),
            ("warm = 51", "profiles.a.warm is 51, but it must be an integer from 0 to 50"),
            (f"warm_hours = {HOURS}", "profiles.a.warm_hours has an effect only if warm is larger than 0"),
            (f"warm = 1\nwarm_hours = {HOURS.replace('12:00', '08:00')}", "warm_hours.ends must be later than begins"),
            (f"warm = 1\nwarm_hours = {HOURS.replace('monday', 'day')}", "profiles.a.warm_hours.days is ['day'], but"),
            (f"warm = 1\nwarm_hours = {HOURS.replace('UTC', 'Mars')}", 'warm_hours.timezone is "Mars", but it must be'),
            (f"warm = 1\nwarm_hours = {HOURS.replace('begins', 'starts')}", "warm_hours.starts is not a setting"),
            ("warm = 1\nwarm_hours = { days = ['monday'] }", "profiles.a.warm_hours.begins is missing"),
        ],
    )
    def test_wrong_ones_are_named(self, given: str, said: str) -> None:
        with pytest.raises(SettingsError, match=re.escape(said)):
            profiles(f'[[profiles]]\nname = "a"\n{given}')

    def test_all_profiles_together_have_a_limit(self) -> None:
        five = "".join(f'[[profiles]]\nname = "p{number}"\nwarm = 41\n' for number in range(5))
        with pytest.raises(SettingsError, match="the sum of warm is larger than 200"):
            profiles(five)

    @pytest.mark.parametrize("why", [ON_ONE_MACHINE, WITH_HOMES])
    def test_where_no_task_can_wait_the_reason_is_said(self, why: str) -> None:
        require_no_spares(profiles('[[profiles]]\nname = "a"'), why)
        with pytest.raises(SettingsError, match=re.escape(f"profiles.a.warm must be 0: {why}")):
            require_no_spares(profiles('[[profiles]]\nname = "a"\nwarm = 1'), why)


class TestFaults:
    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ('kind = "slider"', 'profiles.p.options.o.kind is "slider"'),
            ('kind = "choice"', "profiles.p.options.o.choices is missing"),
            ('kind = "text"\nminimum = 1', 'profiles.p.options.o.minimum has an effect only if kind is "number"'),
            ('kind = "number"\nmaximum = 1', "profiles.p.options.o needs a minimum and a maximum"),
            ('kind = "number"\nminimum = 2\nmaximum = 1', "profiles.p.options.o.minimum is larger than its maximum"),
            ('kind = "number"\nminimum = 1\nmaximum = 2\nstep = 0', "profiles.p.options.o.step must be larger than 0"),
            ('kind = "number"\nminimum = 1\nmaximum = 2\ndefault = 3', "profiles.p.options.o.default is not allowed"),
            ('kind = "number"\nminimum = 1\nmaximum = 2\ndefault = "1"', "profiles.p.options.o.default does not fit"),
            ('kind = "number"\nminimum = 0\nmaximum = 2\nmemory = "{value}G"', "profiles.p.options.o.minimum must be"),
            ('kind = "number"\nminimum = 1\nmaximum = 2\nmemory = "{value}X"', "profiles.p.options.o.memory is"),
            ('kind = "number"\nminimum = 1\nmaximum = 2\ncpus = "{value}x"', "profiles.p.options.o.cpus must be"),
            *(
                (f'kind = "number"\nminimum = 1\nmaximum = 2\ncpus = "{wrong}"', "profiles.p.options.o.cpus must be")
                for wrong in ("2{value}", "{value} * {value}", "x * {value}", "1 * 2 * {value}", "* {value}")
            ),
            ('kind = "number"\nminimum = 1\nmaximum = nan', "profiles.p.options.o.maximum is nan"),
            ('kind = "text"\npattern = "("', "profiles.p.options.o.pattern is no regular expression"),
            ('kind = "text"\npattern = "a"\ndefault = "b"', "profiles.p.options.o.default is not allowed"),
            ('kind = "text"\nimage = "{value}"', "profiles.p.options.o.pattern is missing"),
            (
                'kind = "text"\nmemory = "{value}G"',
                "profiles.p.options.o.memory has {value}, but the option is",
            ),
            ('kind = "switch"\nimage = "{value}"', "profiles.p.options.o.image has {value}, but there is no value"),
            ('kind = "switch"\ndefault = "on"', "profiles.p.options.o.default does not fit"),
            ('kind = "file"\ndefault = "x"', "profiles.p.options.o.default does not fit"),
            ('kind = "file"\nmax_bytes = 9999', "profiles.p.options.o.max_bytes is 9999"),
            ('imge = "x"', "profiles.p.options.o.imge is not a setting; did you mean profiles.p.options.o.image?"),
            ('choices = [{name = "a"}]\nimage = "x"', "profiles.p.options.o.image has no effect"),
            ('choices = [{name = "a"}]\ndefault = "b"', 'profiles.p.options.o.default is "b", which is none'),
            ('choices = [{name = "a"}, {name = "a"}]', 'profiles.p.options.o.choices: the name "a" is used twice'),
            ('choices = [{name = "a", image = "{value}"}]', "profiles.p.options.o.choices.a.image has {value}"),
            ('choices = [{name = "a", memory = "{value}G"}]', "profiles.p.options.o.choices.a.memory has {value}"),
            ('choices = [{name = "a", memory = "much"}]', 'profiles.p.options.o.choices.a.memory is "much"'),
            ('choices = [{name = "a"}]\nunlisted = {image = "{value}"}', "profiles.p.options.o.unlisted.pattern is"),
            ('choices = "a"', 'profiles.p.options.o.choices is "a", but it must be a list of tables'),
        ],
    )
    def test_a_wrong_option_is_named(self, text: str, named: str) -> None:
        assert complaint(option(text)).startswith(named)

    @pytest.mark.parametrize("name", ["", "profile", "with space", "-x", "x" * 65])
    def test_an_option_has_a_name_that_forms_can_send(self, name: str) -> None:
        assert ".name" in complaint(f'[[profiles.options]]\nname = "{name}"\nkind = "switch"')

    def test_two_options_cannot_have_one_name(self) -> None:
        assert "is used twice" in complaint(option('kind = "switch"') + "\n" + option('kind = "switch"'))

    def test_one_profile_is_the_default(self) -> None:
        assert complaint('default = true\n[[profiles]]\nname = "q"\ndefault = true') == (
            "profiles: only one profile can have default = true"
        )

    @pytest.mark.parametrize("file", ["x.exe", "/etc/x.png", "../x.png", "a/../../x.png"])
    def test_a_picture_is_a_picture_beside_the_settings(self, file: str) -> None:
        assert complaint(f'picture = "{file}"').startswith(f'profiles.p.picture is "{file}", but it must be a file')
