"""The trials of a study on the nodes of a cluster; their files come back to the folder that this process owns."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import Any

from stepladder.errors import StepladderError, StorageError, StudyError, some_of
from stepladder.files import parse_json, remove_parts, replace_bytes, sync_folder
from stepladder.network import trace_network
from stepladder.network.advice import training_memory
from stepladder.studies.files.checksums import find_changed_files, save_result
from stepladder.studies.files.machine import describe_versions
from stepladder.studies.files.records import TrialResult
from stepladder.studies.files.store import CHECKPOINTS, read_result
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.cluster.asking import Arrays, order_of, placing, told_of
from stepladder.studies.running.cluster.handing_out import HandingOut, Place, Said, Task
from stepladder.studies.running.cluster.scratch import within
from stepladder.studies.running.cluster.session import Session, connect, refuse_other_stepladder
from stepladder.studies.running.events import error_of, pass_on
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.running.locks import try_lock
from stepladder.studies.running.shared_memory import describe_jobs
from stepladder.studies.running.trial import record_failure, remove_checkpoints
from stepladder.techniques.catalogue import texts_of
from stepladder.training.assembly import trained_network
from stepladder.training.device import Compute, compute_here

#: A trial whose process dies this often has failed; nodes that leave are no fault of a trial, up to a point.
_DEATHS, _LOSSES = 3, 10
#: Bytes of a process that trains, beside what its network takes: torch and its libraries.
_LIBRARIES = 700_000_000
#: Memory that was measured is asked for with so much more.
_SPARE = 1.1


def count_slots(execution: Execution, compute: Compute, trials: int) -> int:
    """Return how many trials run at a time on the cluster that is there now; at least 1.

    Raises:
        StudyError: there is no such cluster.
    """
    assert execution.cluster is not None
    session = connect(execution.cluster)
    if execution.workers != "auto":
        return max(1, min(execution.workers, trials))
    room = session.slots_for(compute.threads or 1, execution.streams, compute.device.type)
    return max(1, min(room, trials))


def run_on_cluster(
    count: int,
    jobs: Sequence[Job],
    compute: Compute,
    execution: Execution,
    callbacks: Callbacks,
    after_each: Callable[[], None] | None = None,
) -> None:
    """Return when every job has ended; see ``jobs.run_jobs``, which one process on a node does for one job at a time.

    Each trial's folder is locked here while a node is at it, so that others may work on the same study meanwhile, as on
    one machine. Files come back when a trial ends, ``result.json`` last, and its newest checkpoint at most once a
    minute, so that another node goes on where one is lost.

    Args:
        count: slots to have at most.

    Raises:
        StudyError: no cluster answers, or a node cannot be used.
        StorageError, Stopped: see ``jobs.run_jobs``.
    """
    assert execution.cluster is not None
    session = connect(execution.cluster)
    session.tell(callbacks.message)
    with execution.stop.observing():
        _Trials(session, count, jobs, compute, execution, callbacks, after_each or (lambda: None)).run()


class _Trials:
    def __init__(
        self,
        session: Session,
        count: int,
        jobs: Sequence[Job],
        compute: Compute,
        execution: Execution,
        callbacks: Callbacks,
        after_each: Callable[[], None],
    ) -> None:
        self._session, self._compute, self._execution = session, compute, execution
        self._callbacks, self._after_each = callbacks, after_each
        self._jobs = {job.trial.id: job for job in jobs}
        #: Of the trials that are at a node now, so that others may work on the same study meanwhile.
        self._locks: dict[str, ExitStack] = {}
        self._begun = 0
        self._started: dict[str, float] = {}
        self._deaths: dict[str, int] = {}
        self._killed: set[str] = set()
        self._peak = 0
        self._errors: list[StepladderError] = []
        self._order = order_of(
            [job.trial.recipe for job in jobs],
            {
                "device": compute.device.type,
                "precision": compute.precision,
                "threads": compute.threads,
                "checkpoint_seconds": execution.checkpoint_seconds,
                "accept_different_bits": execution.accept_different_bits,
            },
        )
        self._texts = texts_of(setting.name for job in jobs for setting in job.trial.recipe.techniques)
        if self._order["modules"]:
            callbacks.message(
                f"What your files import goes to the nodes too: {some_of(list(self._order['modules']), 8)}"
            )
        # One kind of slot for each way to train: what a worker is told once.
        self._made_for = json.dumps([self._order, sorted(self._texts)], sort_keys=True)
        self._memory = _LIBRARIES + _most_memory(jobs)
        self._out = HandingOut(
            session,
            count,
            self._make_slot,
            execution.stop,
            callbacks.message,
            refuse_other_stepladder,
            kinds=_kinds_of(jobs),
            places=session.places_for(self._made_for),
        )

    def run(self) -> None:
        """Hand out every trial that has not ended, again and again, until all have."""
        try:
            while True:
                left = [job for job in self._jobs.values() if read_result(job.folder) is None]
                self._begun = 0
                tasks = [Task(job.trial.id, partial(self._begin, job), group=job.trial.seed) for job in left]
                for said in self._out.run(tasks):
                    self._hear(said)
                if not self._begun:
                    break
        finally:
            for lock in self._locks.values():
                lock.close()
        others = [job for job in self._jobs.values() if read_result(job.folder) is None]
        if others:  # another process of another machine is at them
            from stepladder.studies.running.jobs import run_jobs

            run_jobs(others, self._compute, self._execution, self._callbacks, self._after_each)

    def _own(self, job: Job) -> bool:
        """Hold the lock of a trial until it has ended; return False where somebody else is at it, or has ended it."""
        if not job.folder.parent.parent.is_dir():
            raise StudyError(
                f"{job.folder.parent.parent} was removed while the study ran; run the same command to start it again"
            )
        if job.trial.id in self._locks:  # it is handed out again
            return True
        lock = ExitStack()
        if not lock.enter_context(try_lock(job.folder)) or read_result(job.folder) is not None:
            lock.close()
            return False
        remove_parts(job.folder)
        self._locks[job.trial.id] = lock
        return True

    def _make_slot(self) -> Any:
        threads, gpus = self._compute.threads or 1, 0.0
        if self._compute.device.type == "cuda":
            gpus = 1 / self._execution.streams
        memory = max(self._memory if self._peak == 0 else 0, int(self._peak * _SPARE))
        return self._session.make_slot(threads, gpus, memory, self._execution.checkpoint_seconds)

    def _begin(self, job: Job, place: Place) -> Any:
        if not self._own(job):
            return None
        self._begun += 1
        arrays: Arrays = {}
        document = describe_jobs([job], placing(self._session, arrays, self._execution.images_on_nodes))
        files = _checkpoint_of(job.folder, place.kind, self._execution.accept_different_bits)
        read = told_of(self._execution.images_on_nodes)
        line = json.dumps({**document, "name": job.trial.id})
        self._session.moved.to_nodes += len(line) + sum(map(len, files.values()))
        return place.actor.train.remote(self._order, self._texts, line, arrays, files, read)

    def _hear(self, said: Said) -> None:
        job = self._jobs[said.task.name]
        trial = job.trial
        for line in said.lines:
            event = json.loads(line)
            match event["event"]:
                case "ready":
                    self._check_node(said.place, event)
                case "handed back":
                    pass
                case "error":
                    self._errors.append(error_of(event))
                case "ended":
                    pass  # once its files are here
                case other:
                    if other == "started":
                        self._started[trial.id] = monotonic()
                    pass_on(event, trial, self._callbacks)
        if said.ended is None:
            if said.files:
                _keep_checkpoint(job.folder, said.files)
            self._end_what_hangs(said, job)
            return
        self._started.pop(trial.id, None)
        match said.ended["how"]:
            case "handed back":
                self._peak = max(self._peak, said.ended["peak_memory"])
                self._keep(job, said)
            case "failed":
                self._fail(job, f"its files did not come back from {said.place.node}: {said.ended['sentence']}")
            case how:
                if said.files:
                    _keep_checkpoint(job.folder, said.files)
                self._note_loss(job, said, how)

    def _keep(self, job: Job, said: Said) -> None:
        """Write what a trial left, ``result.json`` last, after its checksums have said that all came."""
        name = "result.json"
        if name not in said.files:  # it was stopped by a step of its own
            self._out.again(said.task)
            return
        for file, content in said.files.items():
            if file != name:
                replace_bytes(within(job.folder, file), content, within=job.folder)
        changed = [one for one in find_changed_files(job.folder) if not one.startswith(name)]
        if changed:
            raise StorageError(
                f"{job.folder}: {changed[0]} on the way from {said.place.node}; run the same command again"
            )
        result = TrialResult.model_validate(parse_json(said.files[name]))
        result = result.model_copy(update={"node": said.place.node, "retries": said.task.retries})
        save_result(job.folder, result)
        remove_checkpoints(job.folder)
        self._locks.pop(job.trial.id).close()
        self._callbacks.trial_ended(job.trial, result)
        self._after_each()

    def _note_loss(self, job: Job, said: Said, how: str) -> None:
        """A process or a node was lost; the trial goes on elsewhere, unless that happens again and again."""
        if self._errors:
            raise self._errors[0]
        if self._execution.stop.wanted():
            return
        trial = job.trial
        name, where = f"{trial.rung}, seed {trial.seed}", said.place.node
        if trial.id in self._killed:
            limit = self._execution.trial_timeout
            self._fail(job, f"it took longer than the {limit:g} seconds of `trial_timeout`")
            return
        key = f"{how} {trial.id}"
        self._deaths[key] = self._deaths.get(key, 0) + 1
        if self._deaths[key] >= (_DEATHS if how == "died" else _LOSSES):
            self._fail(job, f"the process that ran it ended {self._deaths[key]} times, on {where} at last")
            return
        what = f"its process on {where} ended" if how == "died" else f"{where} was lost"
        self._callbacks.message(f"{name}: {what}; it goes on from its checkpoint on another slot")
        self._out.again(said.task)

    def _end_what_hangs(self, said: Said, job: Job) -> None:
        limit, since = self._execution.trial_timeout, self._started.get(job.trial.id)
        if limit is not None and since is not None and monotonic() - since > limit:
            self._killed.add(job.trial.id)
            self._out.kill(said.place)

    def _fail(self, job: Job, reason: str) -> None:
        record_failure(job, reason, "", compute_here(self._compute), self._callbacks)
        self._locks.pop(job.trial.id).close()
        self._after_each()

    def _check_node(self, place: Place, ready: Mapping[str, Any]) -> None:
        here = describe_versions()
        for name, version in ready["versions"].items():
            if name in here and here[name] != version:
                raise StudyError(
                    f"the node {place.node} has {name} {version}, and this machine has {here[name]}: trials of one "
                    "study must not differ in that; install the same versions on all of them"
                )


def _most_memory(jobs: Sequence[Job]) -> int:
    """Return the bytes that a training step takes at most, as far as it can be worked out."""
    most = 0.0
    for job in {job.trial.recipe.fingerprint: job for job in jobs}.values():
        try:
            network, shape = trained_network(job.trial.recipe, job.splits.train, len(job.data.class_names))
            costs = trace_network(network, shape, len(job.data.class_names))
            batch = min(job.trial.recipe.batch_size, len(job.splits.train))
            most = max(most, training_memory(costs, batch))
        except StepladderError:
            continue
    return int(most)


def _kinds_of(jobs: Sequence[Job]) -> dict[object, str]:
    """Return on which kind of node the seeds of a study were begun, so that they go on there."""
    kinds: dict[object, str] = {}
    for study in {job.folder.parent for job in jobs}:
        for folder in sorted(study.iterdir()) if study.is_dir() else ():
            try:
                result = read_result(folder)
            except StepladderError:
                continue
            if result is not None:
                kinds.setdefault(result.seed, result.machine.processor)
    return kinds


def _checkpoint_of(folder: Path, kind: str, any_kind: bool) -> dict[str, bytes]:
    """Return the files of the checkpoints of a trial; those of another processor are removed: bits would differ."""
    place = folder / CHECKPOINTS
    files: dict[str, bytes] = {}
    for path in sorted(place.glob("*/*")) if place.is_dir() else ():
        if path.is_file() and not path.is_symlink() and path.parent.name.isdecimal():
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    for name, content in files.items():
        if not any_kind and name.endswith("/state.json") and _processor_of(content) != kind:
            remove_checkpoints(folder)
            return {}
    return files


def _processor_of(state: bytes) -> object:
    """Return the processor that a checkpoint was made on; None where that cannot be read."""
    try:
        return parse_json(state)["identity"]["processor"]
    except (ValueError, KeyError, TypeError):
        return None


def _keep_checkpoint(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a checkpoint that came from a node, whole or not at all, and remove the older ones."""
    for file in files:
        parts = within(folder, file).relative_to(folder).parts
        if len(parts) != 3 or parts[0] != CHECKPOINTS or not parts[1].isdecimal():
            raise StorageError(f"a node named a file outside its checkpoint: {file}")
    names = {PurePosixPath(name).parts[1] for name in files}
    for name in names:
        target, part = folder / CHECKPOINTS / name, folder / CHECKPOINTS / f".{name}.{os.getpid()}.part"
        part.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            if PurePosixPath(file).parts[1] == name:
                replace_bytes(part / PurePosixPath(file).name, content)
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
        sync_folder(target.parent)
    for old in (folder / CHECKPOINTS).iterdir():
        if old.name.isdecimal() and int(old.name) < min(map(int, names)):
            shutil.rmtree(old, ignore_errors=True)
