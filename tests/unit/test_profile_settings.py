"""`[[profiles]]` in a file: what is read, and which faults are named."""

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
from hubless.settings import SettingsError, parse

GIB = 1024**3
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
