"""The front door: every verb as one function, which the command line calls and a notebook calls alike.

The same call gives the same folder, trial ids, bits and report from both. What belongs together travels as one named
value: what is changed of a recipe (:class:`RecipeOptions`), how images are split (:class:`Protocol`), what a study is
judged by (:class:`Rules`), and how it is carried out (:class:`Execution`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, cast

from stepladder.api.check import Check, check_folder
from stepladder.api.job import ImagesToLoad, Job, ShowProgress, running
from stepladder.api.progress import BagLines, find_bag_progress
from stepladder.api.results import Curve, Study, Sweep, TrainedModel, as_result
from stepladder.api.take_home import take_home
from stepladder.baselines.mixing import Mixing, measure_leaks
from stepladder.datasets import ImageSet, Labelled, load_image_set, make_splits
from stepladder.datasets.audit import ImageAudit, audit_image_set
from stepladder.datasets.sources.base import LabelColumns, labelled
from stepladder.errors import DamagedImagesError, RecipeError, StudyError
from stepladder.model import Predictions
from stepladder.network import FoundNetwork, Network, find_network
from stepladder.network.inspection import Inspection, inspect_network
from stepladder.network.own import is_reference, register_network
from stepladder.network.own_inspection import OwnInspection, inspect_own
from stepladder.recipe import Recipe
from stepladder.report.write import write_report
from stepladder.studies.bag_of_words import BagOptions, add_bag_of_words, run_bag_of_words
from stepladder.studies.curve import Budget, check_budget, curve_design
from stepladder.studies.design.recipes import AnyPlan, RecipeOptions, as_options, as_plan, check_plan, choose_study
from stepladder.studies.design.rules import Protocol, Rules, Seeds, check_seeds, seeds_or_default
from stepladder.studies.design.sweeps import parse_axes
from stepladder.studies.files.bag_files import SavedBag
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.findings import work_out
from stepladder.studies.forecast import Forecast, choose_spread, forecast_study
from stepladder.studies.lr_range import LrRange, run_lr_range
from stepladder.studies.prepare import refuse_among_images
from stepladder.studies.proposals import Search
from stepladder.studies.running.bag import BagCallbacks
from stepladder.studies.running.cluster.address import check_address
from stepladder.studies.running.execution import Execution
from stepladder.studies.running.hours import say_hours
from stepladder.studies.search import run_search
from stepladder.studies.starts import forecast_starts
from stepladder.studies.study import plan_study, run_study
from stepladder.studies.sweep import Grid, grid_design, write_over
from stepladder.studies.track import check_trackers
from stepladder.studies.train import Use, train_model
from stepladder.training.device import choose_compute
from stepladder.training.lr_range import RateRange

#: Whatever names a recipe.
AnyRecipe = str | Path | Recipe | RecipeOptions


def study(
    data: object = "digits",
    recipe: AnyRecipe = "auto",
    *,
    plan: AnyPlan = "ladder",
    seeds: Seeds | None = None,
    out: Path | str | None = None,
    rules: Rules | None = None,
    execution: Execution | None = None,
    cluster: str | None = None,
    progress: ShowProgress = True,
    **columns: Unpack[LabelColumns],
) -> Study:
    """Train every rung with several seeds, and say what the evidence holds.

    The same call again trains only what is missing and rebuilds the report; more seeds add to what is there. Ctrl-C
    finishes the step and keeps a checkpoint.

    >>> study = sl.study("photos/", seeds=5)  # doctest: +SKIP
    >>> study = sl.study(frame, path="file", label="kind", group="patient")  # doctest: +SKIP

    Args:
        data: a name (``digits``, ``cifar10``, …), a path (a folder of images, a table, parquet, ``.npz``, …), a pair of
            arrays ``(x, y)``, a data frame of paths, a torch ``Dataset``, a Hugging Face dataset, or an image set of
            :func:`load_image_set`.
        recipe: a name, a ``.toml`` file, a recipe, or :class:`RecipeOptions` to change one; ``auto`` goes by the number
            of images.
        plan: ``ladder``, ``leave-one-out``, ``add-one``, ``ladder+leave-one-out`` or ``factorial``; rungs of your own
            from below, as ``["base:", "+mixup:mixup"]``; a study file in TOML; or a :class:`RungPlan`, which makes
            another plan than a ladder of rungs of your own.
        seeds: trials a rung, with seeds 0 to ``seeds`` - 1; more may be added at any time by the same call with a
            larger number; ``"auto"`` adds them to what is undecided. Five by default, and ``"auto"`` with a time limit.
        out: the study's folder; ``studies/<data>-<plan>`` in the current folder by default.
        rules: validation share, metric, error rate, smallest effect of interest.
        execution: device, precision, processes, time limits, trackers.
        cluster: a Ray cluster that runs the trials, ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``: the same as
            ``execution=Execution(cluster=…)``. The folder, the bits and what is said stay those of this machine.
        progress: False for silence; or callbacks of your own.
        columns: of a table or data frame, which columns hold ``path``, ``label``, ``split`` and ``group``, where they
            are not found by name and content; ``images``, the folder that its paths start from.

    Raises:
        StepladderError: the input does not fit; one sentence that names the value, what is allowed and the fix.
        Stopped: Ctrl-C or the time limit; the same call goes on.
    """
    execution = _placed(execution, cluster)
    data = labelled(data, columns)
    options, rules = as_options(recipe), rules or Rules()
    seeds = seeds_or_default(seeds, rules, bounded=execution is not None and execution.is_bounded)
    check_seeds(seeds, auto=True)
    rules.check_use(seeds)
    _check(options, rules, execution)
    check_plan(plan)
    with running(progress, execution) as job:
        images = job.load(data, options.default_size())
        chosen = choose_study(plan, options, images, seeds, rules)
        images = options.with_note(images, chosen.recipe)
        folder = _folder(out, images, "studies", f"{images.name}{chosen.name}")
        job.begin(images, chosen.recipe, folder, live=True)
        saved = run_study(
            images,
            chosen.design,
            folder,
            seeds=seeds,
            rules=rules,
            execution=_recorded(job, "study", images, plan=plan, seeds=seeds, out=out),
            callbacks=job.callbacks,
        )
        return cast("Study", as_result(job.report(saved)))


def plan(
    data: object = "digits",
    recipe: AnyRecipe = "auto",
    *,
    plan: AnyPlan = "ladder",
    seeds: Seeds | None = None,
    spread: float | Path | str | None = None,
    rules: Rules | None = None,
    execution: Execution | None = None,
    cluster: str | None = None,
    progress: ShowProgress = True,
    **columns: Unpack[LabelColumns],
) -> Forecast:
    """Say what a study would run, for how long, and the smallest difference that it could find; run nothing.

    Args:
        data, recipe, plan, seeds, rules, execution, cluster, progress: see :func:`study`.
        spread: standard deviation of the differences between two rungs over seeds, in the metric's unit (a fraction of
            1, or nats); or the folder of a study to take it from; a usual one by default.

    Raises:
        StepladderError: see :func:`study`.
    """
    execution = _placed(execution, cluster)
    data = labelled(data, columns)
    options, rules = as_options(recipe), rules or Rules()
    seeds = seeds_or_default(seeds, rules, bounded=execution is not None and execution.is_bounded)
    check_seeds(seeds, auto=True)
    rules.check_use(seeds)
    _check(options, rules, execution)
    check_plan(plan)
    _refuse(execution, "`plan` runs nothing", track="logs trials as they run", reuse="takes trials over")
    assumed = choose_spread(spread, rules.metric)
    with running(progress, execution) as job:
        images = job.load(data, options.default_size())
        chosen = choose_study(plan, options, images, seeds, rules)
        images = options.with_note(images, chosen.recipe)
        job.shown.images_loaded(images, chosen.recipe)
        planned = plan_study(
            images, chosen.design, seeds=seeds, rules=rules, execution=job.execution, callbacks=job.callbacks
        )
        forecast = forecast_study(planned, assumed, job.execution, job.callbacks)
        say_hours(forecast.shortest.middle, images.image_shape, job.callbacks)
        own_rungs = not isinstance(as_plan(plan), str)
        if own_rungs or options.network is not None or isinstance(options.recipe, Recipe):
            return forecast  # who chose so much knows how to begin
        starts = forecast_starts(images, without=chosen.recipe.name, seeds=seeds, rules=rules, execution=job.execution)
        return replace(forecast, instead=starts)


def sweep(
    data: object,
    over: Mapping[str, Sequence[object] | str] | Sequence[str] | Grid | Search,
    recipe: AnyRecipe = "auto",
    *,
    seeds: int = 2,
    out: Path | str | None = None,
    protocol: Protocol | None = None,
    execution: Execution | None = None,
    cluster: str | None = None,
    progress: ShowProgress = True,
) -> Sweep:
    """Train one recipe over a grid of settings, or search a range, and say by validation where the best lies.

    Test is never read. The same call again trains only what is missing.

    >>> sl.sweep("digits", {"optimizer.lr": [0.3, 0.1, 0.03]})  # doctest: +SKIP
    >>> sl.sweep("digits", sl.Search(("optimizer.lr=0.001..0.3",), together=4))  # doctest: +SKIP

    Args:
        over: keys of the recipe with their values; several make a grid. A :class:`Search` looks through ranges, with
            ``together`` several points at a time.
        seeds: trials a point; with one no two points can be told apart.
        out: the sweep's folder; ``studies/<data>-sweep-<keys>`` by default.
        data, recipe, protocol, execution, cluster, progress: see :func:`study`.

    Raises:
        StepladderError, Stopped: see :func:`study`.
    """
    execution = _placed(execution, cluster)
    options, protocol = as_options(recipe), protocol or Protocol()
    asked = over if isinstance(over, Grid | Search) else Grid(write_over(over))
    searches = isinstance(asked, Search)
    axes = parse_axes(asked.over, ranges=searches)
    if options.init is not None and any(axis.key == "network" for axis in axes):
        raise StudyError("`init` brings its model's network, and `over` names others; give one of them")
    for value in (value for axis in axes if axis.key == "network" for value in axis.values):
        if is_reference(str(value)):
            register_network(str(value))
    check_seeds(seeds)
    _check(options, protocol, execution)
    if options.network is not None and any(axis.key == "network" for axis in axes):
        raise StudyError("the network is given twice, with `network` and with `over`; give it once")
    if isinstance(asked, Search) and asked.together == 1:
        _refuse(
            execution,
            "a search trains one trial at a time, as each proposal waits for the one before",
            fix="leave it out, or add `together=2`, or more, to propose several",
            workers="is for trials at the same time",
            streams="is for trials at the same time",
        )
    with running(progress, execution) as job:
        images = job.load(data, options.default_size())
        # Settings belong to every point; a key may name a technique that only a point has.
        network = {key: value for key, value in options.settings.items() if key == "network"}
        made = replace(options, settings=network).make(images)
        images = options.with_note(images, made)
        settings = {**asked.settings, **options.changes()}
        named = [images.name, "search" if searches else "sweep", *([options.rung] if options.rung else [])]
        folder = _folder(out, images, "studies", "-".join([*named, *(axis.key for axis in axes)]))
        job.begin(images, made, folder)
        execution = _recorded(job, "sweep", images, over=list(asked.over), seeds=seeds, out=out)
        if isinstance(asked, Search):
            search = replace(asked, settings=settings)
            saved = run_search(
                images,
                made,
                search,
                folder,
                seeds=seeds,
                protocol=protocol,
                execution=execution,
                callbacks=job.callbacks,
            )
        else:
            design = grid_design(made, Grid(asked.over, settings, asked.many), seeds, protocol.validation)
            rules = Rules(**vars(protocol))
            saved = run_study(
                images, design, folder, seeds=seeds, rules=rules, execution=execution, callbacks=job.callbacks
            )
        return cast("Sweep", as_result(job.report(saved)))


def curve(
    data: object = "digits",
    recipe: AnyRecipe = "auto",
    *,
    budget: Budget = "epochs",
    seeds: int = 3,
    out: Path | str | None = None,
    protocol: Protocol | None = None,
    execution: Execution | None = None,
    cluster: str | None = None,
    progress: ShowProgress = True,
) -> Curve:
    """Train one recipe on 10, 20, 50 and 100 % of the training images, and say what twice as many would bring.

    Args:
        budget: what every size has as much of: ``epochs``, so that a small one takes fewer steps; or ``steps``, as many
            as the largest, so that a small one takes more epochs.
        out: the curve's folder; ``studies/<data>-curve`` by default, and ``studies/<data>-curve-steps`` for steps.
        data, recipe, seeds, protocol, execution, cluster, progress: see :func:`study`.

    Raises:
        StepladderError, Stopped: see :func:`study`.
    """
    execution = _placed(execution, cluster)
    options, protocol = as_options(recipe), protocol or Protocol()
    check_seeds(seeds)
    check_budget(budget)
    _check(options, protocol, execution)
    equal_steps = budget == "steps"
    with running(progress, execution) as job:
        images = job.load(data, options.default_size())
        made = options.make(images)
        images = options.with_note(images, made)
        folder = _folder(out, images, "studies", f"{images.name}-curve{'-steps' if equal_steps else ''}")
        job.begin(images, made, folder)
        saved = run_study(
            images,
            curve_design(made, budget),
            folder,
            seeds=seeds,
            rules=Rules(**vars(protocol)),
            execution=_recorded(job, "curve", images, budget=budget if equal_steps else None, seeds=seeds, out=out),
            callbacks=job.callbacks,
        )
        return cast("Curve", as_result(job.report(saved)))


def lr_range(
    data: object = "digits",
    recipe: AnyRecipe = "auto",
    *,
    seeds: int = 3,
    span: RateRange | None = None,
    out: Path | str | None = None,
    protocol: Protocol | None = None,
    execution: Execution | None = None,
    progress: ShowProgress = True,
) -> LrRange:
    """Raise the learning rate in every step until the loss diverges, and suggest one (Smith 2017, section 3.3).

    Args:
        seeds: tests with different weights and order; the suggestion is their median.
        span: the rates from the first to the last, and how many steps lead from one to the other.
        out: folder of the result; ``studies/<data>-lr-range`` by default.
        data, recipe, protocol, execution, progress: see :func:`study`; only training images are used.

    Raises:
        StepladderError: see :func:`study`.
    """
    from stepladder.report.lr_range import check_folder, write_lr_range  # matplotlib, which no other verb waits for

    options, protocol = as_options(recipe), protocol or Protocol()
    if "epochs" in options.settings:
        raise RecipeError("`epochs` is no budget of this test, which ends after `steps`; leave it out")
    if "optimizer.lr" in options.settings:
        raise RecipeError("optimizer.lr is what this test looks for, from `low` to `high`; leave it out of `settings`")
    if protocol.select != "last":
        raise StudyError(
            f"`select={protocol.select}` chooses the weights to keep, and this test keeps none; leave it out"
        )
    if protocol.metric != "accuracy":
        raise StudyError(f"`metric={protocol.metric}` decides nothing here: this test goes by the loss; leave it out")
    _refuse(
        execution,
        "this test trains no trial to its end",
        track="is for trials",
        trial_timeout="is for trials",
        retry_failed="is for trials",
        reuse="is for trials",
        workers="is for trials at the same time",
        streams="is for trials at the same time",
        cluster="is for trials at the same time",
        images_on_nodes="is for trials at the same time",
    )
    check_seeds(seeds)
    _check(options, protocol, execution)
    with running(progress, execution) as job:
        images = job.load(data, options.default_size())
        made = options.make(images)
        images = options.with_note(images, made)
        folder = _folder(out, images, "studies", f"{images.name}{options.label()}-lr-range")
        check_folder(folder)
        job.shown.images_loaded(images, made)
        found = run_lr_range(
            images,
            made,
            seeds=seeds,
            span=span,
            protocol=protocol,
            execution=job.execution,
            callbacks=job.callbacks,
        )
        write_lr_range(found, folder, _recorded(job, "lr_range", images, seeds=seeds, out=out).command)
        return replace(found, folder=folder)


def train(
    data: object = "digits",
    recipe: AnyRecipe = "auto",
    *,
    seed: int = 0,
    test: bool = True,
    out: Path | str | None = None,
    protocol: Protocol | None = None,
    execution: Execution | None = None,
    progress: ShowProgress = True,
    **columns: Unpack[LabelColumns],
) -> TrainedModel:
    """Train one recipe with one seed, and leave a model folder.

    Args:
        seed: decides initial weights, order of the images and augmentation.
        recipe: see :func:`study`; or the folder of a study, for the recipe that it recommends, or that of the rung that
            :class:`RecipeOptions` names.
        test: whether to read test at the end; while settings are being tuned it should stay unread.
        out: folder of the result; ``trials/<data>-<recipe>-seed<N>`` by default.
        protocol: with ``all_data`` every image trains, and nothing can be measured of the model; with a study's folder
            as recipe its card says what that study measured.
        data, execution, progress: see :func:`study`.

    Raises:
        StepladderError, Stopped: see :func:`study`.
    """
    data = labelled(data, columns)
    options, expected = take_home(as_options(recipe))
    protocol = protocol or Protocol()
    use = Use(test, expected if protocol.all_data else None)
    _check(options, protocol, execution)
    _refuse(
        execution,
        "this trains one trial, here",
        trial_timeout="ends one trial of several",
        retry_failed="is for the trials of a study",
        reuse="is for the trials of a study",
        workers="is for trials at the same time",
        streams="is for trials at the same time",
        cluster="is for trials at the same time",
        images_on_nodes="is for trials at the same time",
    )
    with running(progress, execution) as job:
        images = job.load(data, options.default_size())
        made = options.make(images)
        images = options.with_note(images, made)
        named = [images.name, made.name, *([options.rung] if options.rung else []), f"seed{seed}"]
        named += ["all"] if protocol.all_data else []
        folder = _folder(out, images, "trials", "-".join(named))
        job.begin(images, made, folder)
        return TrainedModel(
            train_model(
                images,
                made,
                folder,
                seed=seed,
                use=use,
                protocol=protocol,
                execution=job.execution,
                callbacks=job.callbacks,
            )
        )


def bag_of_words(
    data: object = "digits",
    options: BagOptions | None = None,
    *,
    seeds: int = 3,
    out: Path | str | None = None,
    protocol: Protocol | None = None,
    command: str = "",
    cluster: str | None = None,
    progress: bool | BagCallbacks = True,
) -> SavedBag:
    """Classify without a network: a bag of visual words and a linear SVM. What a network must beat to be worth it.

    Args:
        data: see :func:`study`; or a :class:`Study`, into whose folder the bag goes as a row beside the rungs is what
            :func:`add_bag` does.
        options: descriptor and number of words.
        seeds: how often everything is fitted, each time with a vocabulary drawn anew.
        out: folder of the result; ``baselines/<data>-<descriptor>`` by default.
        command: what was typed, for the record.
        cluster: a Ray cluster whose nodes fit the seeds, as ``auto``; None for this machine.

    Raises:
        StepladderError: see :func:`study`.
    """
    options, protocol = options or BagOptions(), protocol or Protocol()
    if protocol.select != "last":
        raise StudyError(f"`select={protocol.select}` chooses an epoch, and a bag of words has none; leave it out")
    check_seeds(seeds)
    options.check()
    protocol.check()
    if cluster is not None:
        check_address(cluster)
    shown = _bag_progress(progress)
    images = _load(data)
    folder = _folder(out, images, "baselines", f"{images.name}-{options.descriptor}")
    try:
        return run_bag_of_words(
            images,
            folder,
            options=options,
            seeds=seeds,
            protocol=protocol,
            command=command or f"stepladder.bag_of_words({_written(data)}, seeds={seeds!r})",
            cluster=cluster,
            callbacks=shown,
        )
    finally:
        if isinstance(shown, BagLines):
            shown.stop()


def add_bag(
    study: Study,
    data: object,
    *,
    drop_leaks: bool = False,
    cluster: str | None = None,
    progress: bool | BagCallbacks = True,
) -> Study:
    """Fit a bag of words with the seeds of a study into its folder, and return the study with that row.

    Args:
        data, drop_leaks: as the study was run with.
        cluster: see :func:`bag_of_words`.

    Raises:
        StepladderError: see :func:`study`.
    """
    if study.saved.record.resplit:
        raise StudyError(
            "`resplit` draws other test images for each seed, and a bag of words has one split; leave it out"
        )
    images = _load(data)
    shown = _bag_progress(progress)
    try:
        saved = add_bag_of_words(study.saved, images, drop_leaks=drop_leaks, cluster=cluster, callbacks=shown)
    finally:
        if isinstance(shown, BagLines):
            shown.stop()
    return cast("Study", _reported(saved))


def predict(
    model: Any,
    images: Any,
    *,
    network: str | None = None,
    abstain: float | None = None,
    sets: float | None = None,
    unlike: bool = False,
) -> Predictions:
    """Say what is on images: the class of each with its probability.

    Args:
        model: a folder of a trained model, an exported ``.onnx`` file or its bytes, or a loaded model.
        images: files, folders, archives, patterns, Pillow images or arrays; one or many.
        network: ``FILE.py:function`` of a folder whose network is a module of your own; it is run only when named.
        abstain, sets, unlike: see :meth:`stepladder.model.classifier.Classifier.predict`.

    Raises:
        StepladderError: the model or an image cannot be read, or it cannot promise what is asked.
    """
    if not hasattr(model, "predict"):
        from stepladder.model.find import load_model

        model = load_model(model, network=network)
    return cast("Predictions", model.predict(images, abstain=abstain, sets=sets, unlike=unlike))


def inspect(
    network: Any = "report",
    data: object | None = None,
    *,
    input_shape: tuple[int, int, int] | None = None,
    num_classes: int | None = None,
    batch_size: int = 128,
    precision: str = "float32",
) -> Inspection | OwnInspection:
    """Show what a network costs and sees before a step of training: sizes, weights, MACs, receptive fields, advice.

    Args:
        network: a name, one line as ``conv5-32 pool2 fc``, a ``.toml`` file, a model folder, or a network;
            ``FILE.py:function`` for a module of your own, whose parts are shown.
        data: take image size, classes and number of training images from it; see :func:`study`.
        input_shape: (channels, height, width), in place of the data's.
        num_classes: classes to tell apart.
        batch_size: images for which activation memory is counted.
        precision: of the activations, ``float32`` or ``bfloat16``.

    Raises:
        StepladderError: there is no such network, or it does not fit the images.
    """
    found = find_network(str(network)) if isinstance(network, str | Path) else network
    training_images = None
    if data is not None:
        images = _load(data)
        if num_classes is not None and num_classes != images.num_classes:
            raise RecipeError(
                f"`num_classes` is {num_classes} and {images.name} has {images.num_classes}; leave it out"
            )
        num_classes, training_images = images.num_classes, len(make_splits(images, 0).train)
        if input_shape is None and getattr(found, "model", None) is None:  # a model's techniques may crop
            height, width, channels = images.image_shape
            input_shape = (channels, height, width)
    if isinstance(found, Network) and found.own is not None:
        found = FoundNetwork("network", found)
    if isinstance(found, FoundNetwork) and found.network.own is not None:
        return inspect_own(found, input_shape, num_classes, training_images)
    return inspect_network(
        found,
        input_shape,
        num_classes,
        batch_size=batch_size,
        precision=precision,
        training_images=training_images,
    )


def data(data: object, **columns: Unpack[LabelColumns]) -> ImageAudit:
    """Show what an image set holds before you trust it: counts, damage, copies, balance, and whether it may be flipped.

    Damaged images are listed and left out of every figure.

    Args:
        data: see :func:`study`.

    Raises:
        DataError: there is no such image set, or it cannot be read.
    """
    images, damaged = _load_sound(labelled(data, columns))
    return audit_image_set(images, damaged)


def leak_test(data: object, **columns: Unpack[LabelColumns]) -> Mixing:
    """Measure what it costs to mix images that belong together: how much a test that mixes them promises too much.

    A cheap model, logistic regression on frozen features or on pixels, is trained on a split that mixes groups and on
    one that keeps them apart; see :mod:`stepladder.baselines.mixing`. The groups are those that are named
    (:class:`Labelled`), or else those that names, times and pixels suggest. Test images are never looked at, and
    damaged ones are left out.

    >>> sl.leak_test("shots/").difference.value  # doctest: +SKIP
    0.404

    Args:
        data: see :func:`study`.

    Returns:
        both accuracies and their difference, fractions of 1 with 95 % intervals; ``sentences()`` says them in words.

    Raises:
        DataError: as :func:`data`; or groups are neither named nor suspected, or there are too few of them.
    """
    given = labelled(data, columns)
    images, _ = _load_sound(given)

    def regroup(said: Mapping[str, Any]) -> ImageSet:
        held = given if isinstance(given, Labelled) else Labelled(given)
        return _load_sound(replace(held, **said))[0]

    return measure_leaks(images, regroup)


def check(folder: Path | str, *, repair: bool = False) -> Check:
    """Verify a folder of results: every checksum and hash, and that what is derived follows from its trials.

    Args:
        folder: of a study, sweep, search or curve, a bag of words, a training, a learning-rate range test or a model;
            or an exported ``.onnx`` file.
        repair: rebuild what is derived, and set broken trials aside to be run again.

    Raises:
        StudyError: there is nothing to check.
        StorageError: a file that nothing can rebuild is broken and was to be repaired, or one cannot be written.
    """
    return check_folder(Path(folder), repair=repair)


def _check(recipe: RecipeOptions, protocol: Protocol, execution: Execution | None) -> None:
    """Refuse what no image is needed to refuse, names and numbers, before images are read for minutes."""
    protocol.check()
    execution = execution or Execution()
    if execution.cluster is None:
        execution.check(choose_compute(execution.device, execution.precision, execution.threads).device.type)
    else:  # its nodes say what they have
        execution.check()
    check_trackers(execution.track)
    recipe.check()


def _placed(execution: Execution | None, cluster: str | None) -> Execution | None:
    """Return how a job is carried out, with the cluster that was named beside it."""
    if cluster is None:
        return execution
    check_address(cluster)
    if execution is not None and execution.cluster not in (None, cluster):
        raise StudyError(f"`cluster` is {cluster}, and the Execution names {execution.cluster}; name one of them")
    return replace(execution or Execution(), cluster=cluster)


def _refuse(execution: Execution | None, why: str, *, fix: str = "leave it out", **unused: str) -> None:
    """Refuse what a verb would not use, in place of dropping it.

    Args:
        why: what the verb does.
        fix: what to do.
        unused: fields of the execution, and what each is for.
    """
    plain = Execution()
    for name, purpose in unused.items():
        value = getattr(plain if execution is None else execution, name)
        if value != getattr(plain, name) and not (name == "workers" and value == 1):
            raise StudyError(f"`{name}` {purpose}, and {why}; {fix}")


def _load(data: object) -> ImageSet:
    if isinstance(data, ImagesToLoad):
        return data.load(None)
    return data if isinstance(data, ImageSet) else load_image_set(data)


def _load_sound(data: object) -> tuple[ImageSet, tuple[tuple[str, str], ...]]:
    """Return the images that can be read, and the place of each that cannot, with the reason."""
    if isinstance(data, ImageSet):
        return data, ()
    try:
        return load_image_set(data), ()
    except DamagedImagesError as error:
        return load_image_set(data, skip_damaged=True), error.damaged


def _folder(out: Path | str | None, images: ImageSet, above: str, name: str) -> Path:
    usual = Path(above) / name
    folder = Path(out) if out is not None else usual
    refuse_among_images(folder, images, usual)
    return folder


def _reported(saved: SavedStudy) -> Study | Sweep | Curve:
    findings = work_out(saved)
    write_report(findings)
    return as_result(findings)


def _recorded(job: Job, verb: str, images: ImageSet, **arguments: object) -> Execution:
    """Return how the job is carried out, with the call in Python as the command where no other is known."""
    if job.execution.command:
        return job.execution
    given = [f"{name}={_written(value)}" for name, value in arguments.items() if value is not None]
    return replace(job.execution, command=f"stepladder.{verb}({', '.join([repr(images.name), *given])})")


def _written(value: object) -> str:
    if isinstance(value, str | int | float | bool):
        return repr(value)
    if isinstance(value, Path):
        return repr(str(value))
    if isinstance(value, Iterable) and all(isinstance(one, str) for one in value):
        return repr(list(value))
    return "…"


def _bag_progress(progress: bool | BagCallbacks) -> BagCallbacks:
    if isinstance(progress, BagCallbacks):
        return progress
    return find_bag_progress() if progress else BagCallbacks()
