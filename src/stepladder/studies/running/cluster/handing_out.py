"""Tasks handed out to the slots of a cluster, one each, until all have ended; whoever is lost is replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any

from stepladder.errors import StudyError
from stepladder.studies.running.cluster.session import Session, process_of
from stepladder.training.stop import Stop

#: Seconds that an answer of a slot may take where nothing happens.
_LISTEN = 2.0
#: Seconds between two looks at whether to stop.
_WAIT = 0.2
#: Seconds that slots have to bring their checkpoints once a stop is wanted.
_STOP_SECONDS = 60.0
#: Seconds after which they are asked again: a slot that was still beginning had nothing to stop.
_STOP_AGAIN = 1.0
#: Seconds without any slot before the study says that it waits for one.
_SAY_AFTER = 30.0
#: Slots in a row that end before they have said where they are: then it is no accident.
_STILLBORN = 4
_NOT_INSTALLED = (
    "a node of the cluster has no Stepladder of this version; install it on all of them: pip install "
    "'stepladder[cluster]'"
)
#: A slot that could not be reached is asked again after so many seconds; Ray says when its node is gone for good.
_ASK_AGAIN = 1.0


@dataclass(eq=False)
class Place:
    """A slot as the owner of the study knows it.

    Attributes:
        node: the machine's name; empty until it has a machine.
        kind: what must be the same for the same bits: the processor, and the kind of GPU.
    """

    actor: Any
    node: str = ""
    kind: str = ""
    task: Task | None = None


@dataclass(eq=False)
class Task:
    """Something to carry out.

    Attributes:
        name: of its trial.
        begin: hands it to a place and returns what Ray will answer: a report, or None where a report is asked for next.
            It returns None itself where nothing is to be carried out: somebody else is at it, or has ended it.
        group: tasks of one group go to places of one kind.
        retries: how often it was handed out again.
    """

    name: str
    begin: Callable[[Place], Any]
    group: object = None
    retries: int = 0


@dataclass(frozen=True)
class Said:
    """What a place says of its task.

    Attributes:
        lines: events, JSON.
        files: of a checkpoint, or at the end all that is left.
        ended: how it ended, or None; ``how`` is ``handed back``, ``died``, ``failed``, or ``lost`` with its node.
    """

    task: Task
    place: Place
    lines: Sequence[str]
    files: Mapping[str, bytes]
    ended: Mapping[str, Any] | None


@dataclass
class HandingOut:
    """Hands tasks out to slots.

    Args:
        session: of the cluster.
        want: how many slots to have at most.
        make: makes one.
        stop: asked again and again.
        tell: is told what a user should know, in sentences.
        refuse: given what a slot says of its node; returns why it cannot be used, or None.
    """

    session: Session
    want: int
    make: Callable[[], Any]
    stop: Stop
    tell: Callable[[str], None]
    refuse: Callable[[Mapping[str, Any]], str | None] = lambda _: None
    #: Which kind each group went to.
    kinds: dict[object, str] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)
    lost: int = 0
    _stillborn: int = 0
    _todo: list[Task] = field(default_factory=list)
    #: What Ray will answer, and whose it is.
    _asked: dict[Any, Place] = field(default_factory=dict)
    _again: list[tuple[float, Place]] = field(default_factory=list)
    _begun: float = field(default_factory=monotonic)
    _said_waiting: bool = False

    def run(self, tasks: Sequence[Task]) -> Iterator[Said]:
        """Yield what is said of each task until all have ended; :meth:`again` puts one back.

        Raises:
            Stopped: that was asked for; every task has ended by then, and what it kept was yielded.
            StudyError: a node cannot be used.
        """
        self._todo = list(tasks)
        # Of a call that ended in the middle; slots that share a process end with it.
        left = {id(process_of(place.actor)) for place in self.places if place.task is not None}
        ending = [place for place in self.places if id(process_of(place.actor)) in left]
        for place in ending:
            self.places.remove(place)
        if ending:
            self.session.end_slots([place.actor for place in ending])
        for place in self.places:
            if not place.kind and place not in self._asked.values():  # it had no machine yet when an earlier call ended
                self._asked[place.actor.about.remote()] = place
        began = monotonic()
        try:
            while self._todo or any(place.task for place in self.places):
                if self.stop.wanted():
                    yield from self._stop_all()
                    self.stop.raise_if_wanted()
                self._fill()
                self._assign()
                yield from self._hear(_WAIT)
                self._say_waiting()
        finally:
            self.session.moved.seconds += monotonic() - began

    def again(self, task: Task) -> None:
        """Hand a task out again, before others."""
        task.retries += 1
        self._todo.insert(0, task)

    def kill(self, place: Place) -> None:
        """End what a place is at; it then says that it died."""
        place.actor.kill.remote()

    def _fill(self) -> None:
        """Ask for as many slots as there are tasks, and as were wanted; Ray gives each its machine, when it has one."""
        need = min(self.want, len(self._todo) + sum(place.task is not None for place in self.places))
        while len(self.places) < need:
            place = Place(self.make())
            self.places.append(place)
            self._asked[place.actor.about.remote()] = place

    def _assign(self) -> None:
        for place in self.places:
            while place.task is None and place.kind and (task := self._next_for(place)) is not None:
                self._todo.remove(task)
                asked = task.begin(place)
                if asked is not None:
                    place.task, self._asked[asked] = task, place

    def _next_for(self, place: Place) -> Task | None:
        """Return the first task whose group is of this kind, or of none yet.

        Where no place of its kind is left, a group goes to another: waiting for what may never come is worse.
        """
        there = {one.kind for one in self.places if one.kind}
        for task in self._todo:
            kind = self.kinds.get(task.group)
            if task.group is not None and kind is not None and kind != place.kind and kind in there:
                continue
            if task.group is not None:
                if kind is not None and kind not in there:
                    self.tell(f"No node with {kind} is left; trials of that group go on with {place.kind}.")
                self.kinds[task.group] = place.kind
            return task
        return None

    def _hear(self, seconds: float) -> Iterator[Said]:
        """Yield what was said within some seconds, and ask again."""
        now = monotonic()
        for due, place in list(self._again):
            if due <= now:
                self._again.remove((due, place))
                self._ask(place)
        if not self._asked:
            sleep(seconds)
            return
        asked = list(self._asked)
        ready, _ = self.session.ray.wait(asked, num_returns=len(asked), timeout=0)
        if not ready:
            ready, _ = self.session.ray.wait(asked, timeout=seconds)
        for reference in ready:
            place = self._asked.pop(reference)
            yield from self._take(place, reference)

    def _take(self, place: Place, reference: Any) -> Iterator[Said]:
        exceptions = self.session.ray.exceptions
        try:
            said = self.session.ray.get(reference)
        except exceptions.ActorUnavailableError:
            self._again.append((monotonic() + _ASK_AGAIN, place))
            return
        except exceptions.RayTaskError as error:
            self._raise_of(place, error)
        except exceptions.RayError as error:
            yield from self._lose(place, str(error))
            return
        self._stillborn = 0
        if place.kind == "":
            self._meet(place, said)
            return
        task = place.task
        if task is None:
            return
        if said is None:  # it has begun
            self._ask(place)
            return
        if said["ended"] is not None:
            place.task = None
            if not self.stop.wanted():
                self._assign()  # before the owner writes what came, which may take a second: the slot need not wait
        else:
            self._ask(place)
        self.session.moved.from_nodes += sum(map(len, said["lines"])) + sum(map(len, said["files"].values()))
        yield Said(task, place, said["lines"], said["files"], said["ended"])

    def _ask(self, place: Place) -> None:
        self._asked[place.actor.listen.remote(_LISTEN)] = place

    def _meet(self, place: Place, about: Mapping[str, Any]) -> None:
        why = self.refuse(about)
        if why is not None:
            raise StudyError(why)
        place.node, place.kind = about["host"], about["processor"]

    def _lose(self, place: Place, why: str) -> Iterator[Said]:
        """A slot has gone, with its node perhaps; what it was at is told of as lost."""
        self.places.remove(place)
        if not place.kind:
            self._stillborn += 1
            if "No module named 'stepladder" in why:
                raise StudyError(_NOT_INSTALLED)
            if self._stillborn >= _STILLBORN:
                last = next((line for line in reversed(why.splitlines()) if line.strip()), "it does not say why")
                raise StudyError(f"nodes of the cluster cannot start a slot: {last.strip()}")
        self._again = [(due, one) for due, one in self._again if one is not place]
        self.lost += bool(place.kind)
        if place.task is not None:
            yield Said(place.task, place, (), {}, {"how": "lost"})

    def _raise_of(self, place: Place, error: Any) -> None:
        """Raise what went wrong on a node, as one sentence."""
        cause = getattr(error, "cause", None)
        where = f" (on {place.node})" if place.node else ""
        if "No module named 'stepladder" in str(error):
            raise StudyError(_NOT_INSTALLED) from error
        raise StudyError(f"{cause or str(error).strip().splitlines()[-1]}{where}") from error

    def _say_waiting(self) -> None:
        if any(place.kind for place in self.places):
            self._begun = monotonic()
        elif monotonic() - self._begun > _SAY_AFTER and not self._said_waiting:
            self._said_waiting = True
            self.tell(
                f"{len(self._todo)} trials wait for a free slot: the cluster has none with the cores, GPUs and memory "
                "that a trial takes."
            )

    def _stop_all(self) -> Iterator[Said]:
        """Have all that runs end with a checkpoint, and yield what comes."""
        until, ask = monotonic() + _STOP_SECONDS, monotonic()
        while (running := [place for place in self.places if place.task is not None]) and monotonic() < until:
            if monotonic() >= ask:
                ask = monotonic() + _STOP_AGAIN
                for place in running:
                    place.actor.stop.remote()
            yield from self._hear(_WAIT)
