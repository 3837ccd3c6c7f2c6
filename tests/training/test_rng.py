import torch

from stepladder.training.rng import Streams


def draw(streams: Streams, name: str) -> list[float]:
    return torch.rand(4, generator=streams(name)).tolist()


def test_the_same_seed_and_name_start_the_same_stream() -> None:
    assert draw(Streams(3), "order") == draw(Streams(3), "order")


def test_streams_of_other_names_and_seeds_differ() -> None:
    drawn = [draw(Streams(seed), name) for seed in (0, 1) for name in ("order", "weights/conv1", "weights/conv2")]
    assert len({tuple(numbers) for numbers in drawn}) == len(drawn)


def test_drawing_from_one_stream_moves_no_other() -> None:
    streams = Streams(0)
    before = draw(streams, "order")
    torch.rand(1000, generator=streams("augment/random_crop"))
    torch.rand(1000)
    assert draw(streams, "order") == before


def test_a_stream_is_pinned() -> None:
    # Results of released versions can be made again only while this stays.
    assert torch.randint(0, 1000, (4,), generator=Streams(0)("order")).tolist() == [595, 173, 644, 842]
