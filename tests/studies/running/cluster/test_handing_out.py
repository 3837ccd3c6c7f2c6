"""Tasks on slots that are lost, late, wrong or of two kinds. In place of Ray: what answers at once, or never."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import sleep
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stepladder.errors import StudyError
from stepladder.studies.running.cluster import handing_out as module
from stepladder.studies.running.cluster.handing_out import HandingOut, Place, Said, Task
from stepladder.studies.running.cluster.session import Moved, Session, SharedSlot
from stepladder.training.stop import Stop, Stopped


class RayError(Exception):
    """As in Ray, whatever goes wrong there is one."""


class RayTaskError(RayError):
    """What was called raised something."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class ActorUnavailableError(RayError):
    """An actor that cannot be reached for now."""


class Future:
    """What a call of an actor returns. It is there at once, or where somebody brings it."""

    def __init__(self, *value: Any) -> None:
        self.value = value


class Call:
    """A method of an actor."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        self._answer = answer

    def remote(self, *arguments: Any) -> Future:
        found = self._answer(*arguments)
        return found if isinstance(found, Future) else Future(found)


def report(*lines: str, how: str | None = None, **files: bytes) -> dict[str, Any]:
    return {"lines": lines, "files": files, "ended": None if how is None else {"how": how}}


#: What a slot says of a task that nothing befalls.
ENDS = (report("line"), report(how="handed back", result=b"12345"))
#: What a slot says whose node has gone.
LOST = RayError("The actor died unexpectedly\n\nits node has gone\n")


class Actor:
    """A slot: it says what it was given to say, an answer a question, and then nothing more."""

    def __init__(self, world: World, host: str, kind: str, about: Any) -> None:
        self._world, self.host, self.kind = world, host, kind
        self._answers: deque[Any] = deque()
        self._pending: Future | None = None
        self.stops, self.killed = 0, False
        self.about = Call(lambda: about or {"host": host, "processor": kind})
        self.listen, self.stop, self.kill = Call(self._listen), Call(self._stop), Call(self._kill)

    def begin(self, name: str, answers: Sequence[Any]) -> Future:
        assert not self._answers, "it is at another task"
        self._answers = deque(answers)
        return Future(None)

    def _listen(self, _: float) -> Future:
        self._pending = Future(self._answers.popleft()) if self._answers else Future()
        return self._pending

    def _stop(self) -> None:
        self.stops += 1
        if self._pending is not None and self.stops >= self._world.stops_at:
            self._answers.clear()
            self._pending.value = (report(how="died", checkpoint=self.host.encode()),)

    def _kill(self) -> None:
        self.killed = True


@dataclass
class World:
    """A cluster, and what befalls the tasks on it.

    Attributes:
        slots: host and kind of each slot that is made, in turn; the last again and again.
        does: by task, what its slot says in each attempt, after which it ends as usual.
        abouts: what slots say of themselves, or raise, in place of what is usual.
        stops_at: how often a slot must be asked to stop until it does.
    """

    slots: Sequence[tuple[str, str]] = (("n", "k"),)
    does: dict[str, list[Sequence[Any]]] = field(default_factory=dict)
    abouts: list[Any] = field(default_factory=list)
    stops_at: int = 1
    stop: Stop = field(default_factory=Stop)
    made: list[Actor] = field(default_factory=list)
    ended: list[Actor] = field(default_factory=list)
    begun: list[tuple[str, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def make(self) -> Actor:
        host, kind = self.slots[min(len(self.made), len(self.slots) - 1)]
        about = self.abouts[len(self.made)] if len(self.made) < len(self.abouts) else None
        self.made.append(Actor(self, host, kind, about))
        return self.made[-1]

    def task(self, name: str, group: object = None) -> Task:
        return Task(name, partial(self._begin, name), group)

    def tasks(self, number: int) -> list[Task]:
        return [self.task(f"t{one}") for one in range(number)]

    def out(self, want: int = 2, **more: Any) -> HandingOut:
        ray = SimpleNamespace(wait=_wait, get=_get, exceptions=_EXCEPTIONS)
        session = cast("Session", SimpleNamespace(ray=ray, moved=Moved(), end_slots=self.ended.extend))
        return HandingOut(session, want, self.make, self.stop, self.told.append, **more)

    def _begin(self, name: str, place: Place) -> Future:
        self.begun.append((name, place.node))
        attempts = self.does.get(name)
        future: Future = place.actor.begin(name, attempts.pop(0) if attempts else ENDS)
        return future


_EXCEPTIONS = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError, ActorUnavailableError=ActorUnavailableError)


def _wait(asked: list[Future], num_returns: int = 1, timeout: float = 0) -> tuple[list[Future], list[Future]]:
    ready = [one for one in asked if one.value]
    if not ready:
        sleep(min(timeout, 0.001))
    return ready, [one for one in asked if not one.value]


def _get(future: Future) -> Any:
    (value,) = future.value
    if isinstance(value, Exception):
        raise value
    return value


def carry_out(out: HandingOut, tasks: Sequence[Task]) -> list[Said]:
    """Carry tasks out as whoever owns a study does: what was lost goes out again."""
    said = []
    for one in out.run(tasks):
        said.append(one)
        if one.ended is not None and one.ended["how"] != "handed back":
            out.again(one.task)
    return said


def ended(said: Sequence[Said]) -> Counter[str]:
    return Counter(one.task.name for one in said if one.ended and one.ended["how"] == "handed back")


def test_a_slot_that_is_free_begins_its_next_task_before_what_came_is_taken() -> None:
    """Who owns the study writes files then, for a second perhaps."""
    world = World()
    begun = [len(world.begun) for said in world.out(want=1).run(world.tasks(3)) if said.ended]
    assert begun == [2, 3, 3]


def test_slots_that_share_a_process_end_with_what_a_call_left_in_one_of_them() -> None:
    world = World()
    process, other = Actor(world, "n", "k", None), Actor(world, "m", "k", None)
    places = [Place(SharedSlot(process, 0), "n", "k"), Place(SharedSlot(process, 1), "n", "k"), Place(other, "m", "k")]
    places[0].task = world.task("of a call that ended in the middle")
    out = world.out(want=1, places=places)
    assert ended(carry_out(out, world.tasks(2))) == Counter(["t0", "t1"])
    assert [place.node for place in places] == ["m"]
    assert [slot.process for slot in cast("list[SharedSlot]", world.ended)] == [process, process]


def test_each_task_is_told_of_and_ends_once() -> None:
    world = World()
    out = world.out(want=3)
    said = carry_out(out, world.tasks(7))
    assert ended(said) == Counter(f"t{number}" for number in range(7))
    assert [one.lines for one in said if one.task.name == "t3"] == [("line",), ()]
    assert next(one.files for one in said if one.ended and one.task.name == "t3") == {"result": b"12345"}
    assert len(world.made) == 3
    assert out.session.moved.from_nodes == 7 * (len("line") + 5)
    assert out.session.moved.seconds > 0


def test_no_more_slots_are_made_than_there_are_tasks() -> None:
    world = World()
    carry_out(world.out(want=64), world.tasks(2))
    assert len(world.made) == 2


def test_what_somebody_else_is_at_is_passed_over() -> None:
    world = World()
    others = Task("theirs", lambda _: None)
    out = world.out(want=1)
    assert ended(carry_out(out, [others, world.task("t0"), others, world.task("t1")])) == Counter(t0=1, t1=1)
    assert carry_out(out, [others]) == []


def test_slots_stay_from_one_call_to_the_next() -> None:
    world, places = World(), list[Place]()
    carry_out(world.out(places=places), world.tasks(2))
    carry_out(world.out(places=places), world.tasks(4))
    assert len(world.made) == 2


def test_a_slot_that_came_too_late_for_one_call_is_used_in_the_next() -> None:
    """Where a machine was free a moment later, it must not stay without work for the rest of a study."""
    late = Future()
    world, places = World([("a", "k"), ("b", "k")], abouts=[None, late]), list[Place]()
    assert ended(carry_out(world.out(places=places), world.tasks(2))) == Counter(t0=1, t1=1)
    assert [node for _, node in world.begun] == ["a", "a"]
    world.made[1].about = Call(lambda: {"host": "b", "processor": "k"})
    world.begun.clear()
    carry_out(world.out(places=places), world.tasks(2))
    assert {node for _, node in world.begun} == {"a", "b"}


def test_a_slot_that_is_still_at_something_of_another_call_is_ended() -> None:
    """Where an error ended a study in the middle, its slots must not be at two trials at a time in the next."""
    world, places = World(does={"t0": [(report("line"),)]}), list[Place]()
    for _ in world.out(want=1, places=places).run(world.tasks(1)):
        break
    assert ended(carry_out(world.out(want=1, places=places), world.tasks(2))) == Counter(t0=1, t1=1)
    assert world.ended == world.made[:1]
    assert len(world.made) == 2


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_lost_each_task_ends_once_and_only_once(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ASK_AGAIN", 0.001)
    monkeypatch.setattr(module, "_WAIT", 0.001)
    chance = random.Random(seed)
    befalls: list[Sequence[Any]] = [
        (LOST,),
        (report("line"), LOST),
        (report("line"), report(how="died", checkpoint=b"1")),
        (ActorUnavailableError(), report("line"), LOST),
    ]
    world = World([(f"n{number % 5}", "k") for number in range(99)])
    tasks = world.tasks(12)
    for task in tasks:
        world.does[task.name] = chance.choices(befalls, k=chance.randrange(4))
    losses = {task.name: len(world.does[task.name]) for task in tasks}
    out = world.out(want=chance.randrange(1, 5))
    said = carry_out(out, tasks)
    assert ended(said) == Counter(task.name for task in tasks)
    assert {task.name: task.retries for task in tasks} == losses
    assert Counter(name for name, _ in world.begun) == Counter({name: 1 + count for name, count in losses.items()})


def test_a_lost_slot_is_replaced_and_its_task_goes_out_before_others() -> None:
    world = World([("a", "k"), ("b", "k"), ("c", "k")], {"t0": [(report("line"), LOST)]})
    out = world.out(want=1)
    said = carry_out(out, world.tasks(3))
    assert world.begun == [("t0", "a"), ("t0", "b"), ("t1", "b"), ("t2", "b")]
    assert [one.ended for one in said if one.ended and one.ended["how"] == "lost"] == [{"how": "lost"}]
    assert out.lost == 1


def test_a_slot_that_cannot_be_reached_for_a_moment_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ASK_AGAIN", 0.001)
    monkeypatch.setattr(module, "_WAIT", 0.001)
    world = World(does={"t0": [(ActorUnavailableError(), ActorUnavailableError(), *ENDS)]})
    out = world.out()
    assert ended(carry_out(out, world.tasks(1))) == Counter(t0=1)
    assert (out.lost, len(world.made)) == (0, 1)


TWO_KINDS = (("a", "Xeon"), ("b", "Zen"))


def test_the_tasks_of_a_group_go_to_slots_of_one_kind() -> None:
    world = World(TWO_KINDS)
    out = world.out()
    carry_out(out, [world.task(f"{seed}-{rung}", seed) for rung in range(4) for seed in range(4)])
    where = {seed: {node for name, node in world.begun if name.startswith(f"{seed}-")} for seed in range(4)}
    assert all(len(nodes) == 1 for nodes in where.values()), where
    assert set.union(*where.values()) == {"a", "b"}, "both kinds had work"
    assert out.kinds == {seed: dict(TWO_KINDS)[nodes.pop()] for seed, nodes in where.items()}
    assert world.told == []


def test_a_group_goes_on_with_the_kind_that_it_was_begun_on() -> None:
    world = World(TWO_KINDS)
    carry_out(
        world.out(kinds={7: "Zen", 8: "Xeon"}), [world.task(f"{seed}-{one}", seed) for one in "ab" for seed in (7, 8)]
    )
    assert {(name[0], node) for name, node in world.begun} == {("7", "b"), ("8", "a")}


def test_where_no_slot_of_its_kind_is_left_a_group_goes_on_with_another_and_says_so() -> None:
    world = World([("a", "Xeon"), ("b", "Zen")], {"7-a": [(report("line"), LOST)]})
    out = world.out(want=1)
    carry_out(out, [world.task(f"7-{one}", 7) for one in "abc"])
    assert world.begun == [("7-a", "a"), ("7-a", "b"), ("7-b", "b"), ("7-c", "b")]
    assert world.told == ["No node with Xeon is left; trials of that group go on with Zen."]
    assert out.kinds == {7: "Zen"}


def stopping(out: HandingOut, tasks: Sequence[Task], world: World) -> list[Said]:
    """Ask to stop at the first line, and return what was said until all had ended."""
    said: list[Said] = []

    def hear() -> None:
        for one in out.run(tasks):
            said.append(one)
            world.stop.request("terminate")

    with pytest.raises(Stopped):
        hear()
    return said


def test_a_stop_brings_the_checkpoints_of_all_that_runs() -> None:
    world = World([("a", "k"), ("b", "k")], {"t0": [(report("line"),)], "t1": [(report("line"),)]})
    said = stopping(world.out(), world.tasks(5), world)
    assert {(one.task.name, one.files["checkpoint"]) for one in said if one.ended} == {("t0", b"a"), ("t1", b"b")}
    assert [name for name, _ in world.begun] == ["t0", "t1"], "nothing is begun once a stop is wanted"
    assert all(actor.stops for actor in world.made)


def test_a_slot_that_was_still_beginning_is_asked_to_stop_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STOP_AGAIN", 0.001)
    world = World(does={"t0": [(report("line"),)]}, stops_at=3)
    said = stopping(world.out(), world.tasks(1), world)
    assert said[-1].files == {"checkpoint": b"n"}
    assert world.made[0].stops == 3


def test_a_slot_that_does_not_heed_a_stop_holds_nobody_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STOP_SECONDS", 0.05)
    world = World(does={"t0": [(report("line"),)]}, stops_at=10**9)
    said = stopping(world.out(), world.tasks(1), world)
    assert [one.ended for one in said] == [None]


def test_what_hangs_is_killed_on_its_slot() -> None:
    world = World(does={"t0": [(report("line"), report(how="died"))]})
    out = world.out()
    for said in out.run(world.tasks(1)):
        if said.ended is None:
            out.kill(said.place)
    assert world.made[0].killed


WHY = "stepladder.errors.StorageError: cannot write to /scratch on this node: No space left on device"


def test_a_slot_that_cannot_start_says_why_once_and_not_for_ever() -> None:
    died = RayError(f"The actor died because of an error raised in its creation task\n  File ...\n{WHY}\n")
    world = World(abouts=[died] * 99)
    with pytest.raises(StudyError) as caught:
        carry_out(world.out(), world.tasks(9))
    assert str(caught.value) == f"nodes of the cluster cannot start a slot: {WHY}"
    assert len(world.made) < 8
    assert world.begun == []


def test_slots_that_fail_now_and_then_are_made_again() -> None:
    world = World(abouts=[LOST, LOST, None, LOST, LOST, None], does={"t0": [(LOST,)]})
    assert ended(carry_out(world.out(want=1), world.tasks(2))) == Counter(t0=1, t1=1)
    assert len(world.made) == 6


@pytest.mark.parametrize("kind", [RayError, lambda words: RayTaskError(ModuleNotFoundError(words))])
def test_a_node_without_stepladder_is_told_at_once(kind: Callable[[str], Exception]) -> None:
    world = World(abouts=[kind("ModuleNotFoundError: No module named 'stepladder.studies'")] * 9)
    with pytest.raises(StudyError, match="a node of the cluster has no Stepladder of this version; install it on all"):
        carry_out(world.out(), world.tasks(1))
    assert len(world.made) == 1


def test_a_node_that_is_refused_ends_the_study_with_the_sentence() -> None:
    world = World()
    out = world.out(refuse=lambda about: f"the node {about['host']} has another version")
    with pytest.raises(StudyError, match=r"^the node n has another version$"):
        carry_out(out, world.tasks(1))
    assert world.begun == []


def test_an_error_on_a_node_is_one_sentence_that_names_it() -> None:
    wrong = RayTaskError(StudyError("this node has no folder /data"))
    world = World(does={"t0": [(wrong,)]})
    with pytest.raises(StudyError, match=r"^this node has no folder /data \(on n\)$"):
        carry_out(world.out(), world.tasks(1))


def test_a_cluster_without_room_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SAY_AFTER", 0.01)
    world = World(abouts=[Future()] * 9, stop=Stop(0.1))
    with pytest.raises(Stopped):
        carry_out(world.out(), world.tasks(3))
    assert world.told == [
        "3 trials wait for a free slot: the cluster has none with the cores, GPUs and memory that a trial takes."
    ]
