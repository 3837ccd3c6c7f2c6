import pytest

from stepladder.baselines.settings import settle
from stepladder.errors import DataError, StudyError


def test_the_defaults_follow_the_size_of_the_images() -> None:
    cifar = settle("patches", 32, 32)
    assert (cifar.words, cifar.side, cifar.window, cifar.step, cifar.fewer) == (800, 32, 6, 2, True)
    digits = settle("patches", 8, 8)
    assert (digits.side, digits.window, digits.step) == (8, 4, 1)
    assert settle("patches", 224, 300).side == 64
    assert settle("patches", 4, 4).window == 2
    assert [settle("sift", side, side).side for side in (8, 32, 64, 100, 224)] == [64, 64, 64, 100, 128]
    assert settle("sift", 32, 32, words=50).words == 50
    assert not settle("sift", 32, 32, words=50).fewer


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("foo", 32, 32), "unknown descriptor 'foo'. Known: patches, sift"),
        (("pathces", 32, 32), "did you mean 'patches'?"),
        (("patches", 32, 32, 1), "`words` is 1; it must be 2 to 20,000"),
        (("patches", 32, 32, 30_000), "`words` is 30,000"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple, words: str) -> None:
    with pytest.raises(StudyError, match=words.replace("?", r"\?")):
        settle(*arguments)


def test_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(DataError, match='3×3 pixels, too few for `descriptor="patches"`, which takes 4 or more a side'):
        settle("patches", 3, 3)
    with pytest.raises(DataError, match="enlarge them with `size=8`"):
        settle("sift", 7, 30)
