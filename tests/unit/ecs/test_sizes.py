import pytest

from hubless.adapters.ecs.sizes import SIZES, Size, size_for
from hubless.domain.errors import LaunchFailedError
from tests.doubles.ecs.definitions import FARGATE

GIB = 1024**3


def test_every_size_is_one_that_fargate_takes_and_none_is_missing():
    assert {(size.cpu, size.memory) for size in SIZES} == {(cpu, memory) for cpu in FARGATE for memory in FARGATE[cpu]}


@pytest.mark.parametrize(
    ("cpus", "gib", "size"),
    [
        (0.25, 0.5, Size(256, 512)),
        (0.1, 0.1, Size(256, 512)),
        (0.5, 2, Size(512, 2048)),
        (1, 1, Size(1024, 2048)),
        (1, 4, Size(1024, 4096)),
        (1, 8.5, Size(2048, 9216)),
        (0.25, 16, Size(2048, 16384)),
        (2.5, 4, Size(4096, 8192)),
        (8, 17, Size(8192, 20480)),
        (16, 120, Size(16384, 122880)),
    ],
)
def test_a_profile_gets_the_cheapest_size_that_holds_it(cpus, gib, size):
    assert size_for(cpus=cpus, memory_bytes=int(gib * GIB), profile="p") == size


@pytest.mark.parametrize(("cpus", "gib"), [(17, 1), (1, 121)])
def test_what_fargate_has_not_is_refused_in_words(cpus, gib):
    with pytest.raises(
        LaunchFailedError, match=r"Profile huge asks for .* processors and .* GiB .* at most 16 processors and 120"
    ):
        size_for(cpus=cpus, memory_bytes=gib * GIB, profile="huge")
