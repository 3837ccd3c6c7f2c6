"""What may name a cluster, and what is refused in one sentence."""

import pytest

from stepladder.errors import StudyError
from stepladder.studies.running.cluster.address import check_address


@pytest.mark.parametrize(
    "address",
    [
        "auto",
        "10.0.0.7:6379",
        "head:6379",
        "head.cluster.example:6379",
        "gpu-3_a:1",
        "[::1]:6379",
        "ray://head:10001",
        "ray://[fe80::1]:10001",
    ],
)
def test_addresses_as_ray_prints_them_are_taken(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "AUTO",
        "local",
        "head",
        "head:",
        ":6379",
        "head:port",
        "head:123456",
        "http://head:8265",
        "ray://auto",
        "ray://",
        "head:6379 --x",
        "head:6379\n",
        "auto\n",
        "::1:6379",
        "[::1]",
        "a/b:1",
    ],
)
def test_anything_else_is_refused_with_what_to_write(address: str) -> None:
    with pytest.raises(StudyError) as caught:
        check_address(address)
    assert str(caught.value) == (
        f"`cluster` is {address!r}; write auto, HOST:PORT as `ray start --head` prints it, or ray://HOST:10001"
    )
