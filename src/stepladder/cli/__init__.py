"""The command line: parses, calls the library, prints. It holds no logic, and ``--help`` imports no torch."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Any

from cyclopts import App, CycloptsError, Group

from stepladder.cli.flags import to_flags
from stepladder.cli.groups import ABOUT, BEFORE, COMMANDS, MACHINE, MODELS, STUDIES, TRAINING
from stepladder.cli.quick import leave
from stepladder.cli.streams import PIPE_ENDED, let_any_letter_through, let_go_of_broken_pipes
from stepladder.cli.techniques_app import app as techniques_app
from stepladder.errors import StepladderError, StepladderWarning, described, for_want_of_memory, printable

app = App(
    name="stepladder",
    help="Which training techniques actually help on your images, by how much, and the trained model to take home.",
    help_epilogue="Start with: stepladder study digits --recipe first",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
    group_commands=ABOUT,
)


def _add(parent: App, path: str, help_text: str, *examples: str, group: Group = COMMANDS) -> None:
    """Add a command by its import path, so that its module is loaded when it runs and not when commands are listed.

    Args:
        help_text: one sentence for the list of commands, and after an empty line what only its own help says.
        examples: short enough for a terminal of 80 columns, or they could not be copied.
    """
    epilogue = "\n".join(["Examples:", *(f"  stepladder {example}" for example in examples)])
    order = len([name for name in parent if not name.startswith("-")])
    parent.command(
        f"stepladder.cli.{path}",
        name=path.split(":")[1].replace("_", "-"),
        help=help_text,
        help_epilogue=epilogue,
        sort_key=order,
        group=group,
    )


_add(
    app,
    "study:study",
    "Train every rung with several seeds and say what the evidence holds.\n\n"
    "Run again, the same command trains only what is missing and rebuilds the report; more seeds add to what is there.",
    "study digits --recipe first",
    "study my_images/ --seeds 5",
    "study my_images/ --plan ladder+leave-one-out --seeds auto",
    "study cifar10-jpeg/ --validation 0 --seeds 1",
    "study digits --rung base: --rung +mixup:mixup",
    "study digits --technique my_file.py:Blur",
    "study my_images/ --workers 2 --max-time 2h",
    group=TRAINING,
)
_add(
    app,
    "study:plan",
    "Print what a study would run, for how long, and the smallest difference that it could find; run nothing.\n\n"
    "It takes the options of study that concern data, recipe, plan and judging.",
    "plan digits --plan ladder+leave-one-out",
    "plan my_images/ --seeds auto --pilot studies/digits-ladder",
    "plan --run './run {seed} {options}' --rung a: --rung b:--mix",
    group=TRAINING,
)
_add(
    app,
    "train:train",
    "Train one recipe, with all its techniques, and leave a model folder.",
    "train digits --rung standardize",
    "train my_images/ --recipe report --set optimizer.lr=0.05",
    group=TRAINING,
)
_add(
    app,
    "sweep:sweep",
    "Train one recipe over a grid of settings, or search a range, and say by validation where the best lies.\n\n"
    "Test is not read. Run again, the same command trains only what is missing.",
    "sweep digits --over optimizer.lr=0.3,0.1 --over batch_size=32,128",
    "sweep my_images/ --over dropout.p=0,0.25,0.5,0.75 --seeds 3",
    "sweep digits --over optimizer.lr=0.001..0.3 --search optuna",
    "sweep --run 'python train.py {seed} {lr}' --over lr=0.3,0.1",
    group=TRAINING,
)
_add(
    app,
    "lr_range:lr_range",
    "Raise the learning rate in every step until the loss diverges, and suggest one (Smith 2017).\n\n"
    "Only training images are used.",
    "lr-range digits",
    "lr-range my_images/ --rung standardize --set optimizer.name=adamw",
    group=TRAINING,
)
_add(
    app,
    "curve:curve",
    "Train one recipe on 10, 20, 50 and 100 % of the training images and say what twice as many would bring.",
    "curve digits",
    "curve my_images/ --recipe report --seeds 5",
    group=TRAINING,
)
_add(
    app,
    "bag_of_words:bag_of_words",
    "Classify without a network: what a network must beat to be worth it.\n\n"
    "A bag of visual words and a linear SVM are fitted on the same training images, its C is chosen on validation, and "
    "test is read once.",
    "bag-of-words digits",
    "bag-of-words my_images/ --descriptor sift --seeds 5",
    "study digits --with-bag-of-words",
    group=TRAINING,
)
_add(
    app,
    "data:data",
    "Show what an image set holds before you trust it: counts, damage, copies, balance, and whether it may be flipped.",
    "data my_images/",
    "data digits --sheet digits.png --html digits.html",
    "data --list",
    group=BEFORE,
)
_add(
    app,
    "inspect:inspect",
    "Show what a network costs and sees before a step of training: sizes, weights, MACs, receptive fields, advice.",
    "inspect report",
    "inspect resnet9 --input 3x64x64 --compare",
    "inspect 'conv5-32 pool2 fc100 fc' --data digits --explain",
    "inspect --solve 'conv5 32->32'",
    "inspect report --explore",
    group=BEFORE,
)
_add(
    techniques_app,
    "techniques:show",
    "Draw what a technique does to images, before and after, with their targets.",
    "techniques show cutmix --data digits --out sheet.png",
    "techniques show rotate --set degrees=45",
)
_add(
    techniques_app,
    "techniques:new",
    "Write the file of a technique of your own, with its test, to start from.",
    "techniques new Blur",
)
app.command(techniques_app)
_add(
    app,
    "answers:answers",
    "Answer the lab report's 34 questions: reason, arithmetic, a command that shows it, and what was measured.",
    "answers",
    "answers 7",
    "answers 7-9 33",
    "answers dropout",
    "answers 10 --json",
    group=BEFORE,
)
_add(
    app,
    "report:report",
    "Rebuild a study's report from its files, without training; or compare several studies of the same data.",
    "report studies/digits-ladder",
    "report studies/one studies/other --out comparison",
    "report studies/digits-ladder --latex results.tex --csv tables",
    "report studies/digits-ladder --figures figures --width 85mm",
    group=STUDIES,
)
_add(
    app,
    "view:view",
    "Show all studies below a folder in the browser, live while they run.\n\nIt reads their files and writes none.",
    "view",
    "view studies/ --open",
    "view studies/ --control",
    "view studies/ --host 0.0.0.0",
    group=STUDIES,
)
_add(
    app,
    "judge:judge",
    "Say what scores of any program are worth: which variant helps, by how much, and how sure that is.\n\n"
    "It reads tables, and the folders of Lightning, Keras, Ultralytics, timm, Hugging Face and TensorBoard.",
    "judge results.csv",
    "judge 'runs/{variant}/seed{seed}' --metric val_acc",
    "judge results.csv --baseline plain --require helped",
    "judge results.csv --tried 40",
    group=STUDIES,
)
_add(
    app,
    "pool:pool",
    "Pool studies of several image sets: what each technique does in general, and probably on a new set.\n\n"
    "Findings are kept with --save, without names and paths, and pooled with later studies.",
    "pool studies/digits-ladder studies/photos-ladder",
    "pool --save my-atlas/ studies/digits-ladder",
    "pool my-atlas/ studies/photos-ladder --out pooled",
    group=STUDIES,
)
_add(
    app,
    "check:check",
    "Verify a folder of results: every checksum and hash, and that what is derived follows from its trials.",
    "check studies/digits-ladder",
    "check studies/digits-ladder --repair",
    group=STUDIES,
)
_add(
    app,
    "readings:readings",
    "List the test images that were read on this computer, with the plans that read them.",
    "readings",
    group=STUDIES,
)
_add(
    app,
    "predict:predict",
    "Say what is on images, by a model or an exported file.\n\n"
    "In folders named after classes, it also says how often it is right.",
    "predict studies/digits-ladder/trials/ID/model photos/",
    "predict model.onnx 'photos/*.jpg' --top 3 --csv",
    "predict MODEL - --json < list_of_files.txt",
    group=MODELS,
)
_add(
    app,
    "serve:serve",
    "Let a model answer by HTTP, with a page to drop a photo on.\n\n"
    "Only this machine reaches it unless --host says otherwise. No image is kept.",
    "serve studies/digits-ladder/trials/ID/model --open",
    "serve model.onnx --port 9000 --quiet",
    "serve MODEL --host 0.0.0.0",
    group=MODELS,
)
_add(
    app,
    "export:export",
    "Export a model as one ONNX file, preprocessing included, for programs without PyTorch.\n\n"
    "The file is checked against the model, or not written.",
    "export studies/digits-ladder/trials/ID/model --out digits.onnx",
    "export MODEL --quantize int8 --images photos/",
    group=MODELS,
)
_add(
    app,
    "push:push",
    "Send a model to the Hugging Face Hub, with a card that has the study's verdicts.\n\n"
    "What goes out is shown first; images never do. Log in with 'hf auth login', or set HF_TOKEN.",
    "push MODEL user/name --license apache-2.0",
    group=MODELS,
)
_add(
    app,
    "push:pull",
    "Fetch a model from the Hugging Face Hub.\n\n"
    "Only the files of a model folder are fetched. Without a connection, what was fetched before is taken.",
    "pull user/name",
    "pull user/name@v2 --out model",
    group=MODELS,
)
_add(
    app,
    "explain:explain",
    "Draw what in an image speaks for its class (Grad-CAM, occlusion), and the first layer's filters.",
    "explain studies/digits-ladder/trials/ID/model photo.jpg",
    group=MODELS,
)
_add(
    app,
    "doctor:doctor",
    "Print what this machine is, how fast it multiplies, which arithmetic it takes and why, and what is installed.",
    "doctor",
    "doctor --again",
    group=MACHINE,
)
bench = App(
    name="bench",
    help="Measure Stepladder on this machine.",
    help_epilogue="Start with: stepladder bench engine",
    group=MACHINE,
    group_commands=COMMANDS,
    sort_key=100,
)
_add(
    bench,
    "bench:engine",
    "Measure training images a second: a plain PyTorch loop, Stepladder's, and the machine's own matrix products.",
    "bench engine",
)
_add(
    bench,
    "bench:data",
    "Measure loading 60,000 small JPEGs, first and from the cache, and training from the cache's mapped file.",
    "bench data",
)
_add(
    bench,
    "bench:predict",
    "Measure how fast a trained model answers, by PyTorch and by its exported file.",
    "bench predict",
)
_add(
    bench,
    "bench:start",
    "Measure what one waits for: help, lists, a check, one prediction, the first training step of a study.",
    "bench start",
)
_add(
    bench,
    "bench:study",
    "Measure whole studies: trials an hour, the time outside training steps, processes against threads.",
    "bench study cifar10-jpeg/ --seeds 1",
)
_add(
    bench,
    "bench:gpu",
    "Measure the reference study on a GPU: one trial, its steps replayed and launched one by one; the whole ladder.",
    "bench gpu cifar10-jpeg/",
)
app.command(bench)
app.register_install_completion_command()


def main() -> None:
    """Run the command line of this process."""
    code = run(sys.argv[1:])
    if sys.argv[1:2] in (["predict"], ["check"]):  # they leave nothing behind that would want to be closed
        leave(code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    0 done, 1 done with failed trials, 2 wrong input, 130 interrupted, 141 nobody reads what it prints any more.
    """
    let_any_letter_through()
    try:
        with warnings.catch_warnings(), _readings_of(arguments):
            warnings.showwarning = partial(_show_warning, warnings.showwarning)
            code = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
        if sys.stdout is not None:  # closed by whoever started the command
            sys.stdout.flush()
    except CycloptsError as error:
        known = arguments[:1] if arguments and arguments[0] in app else []
        return _complain(f"{error}\nSee: {' '.join(['stepladder', *known, '--help'])}")
    except StepladderError as error:
        return _complain(to_flags(str(error)), error.exit_code)
    except SystemExit as ended:  # of a job that was stopped, and said why
        if isinstance(ended.__context__, BrokenPipeError):  # so rich ends a command whose reader has gone
            let_go_of_broken_pipes()
            return PIPE_ENDED
        return ended.code if isinstance(ended.code, int) else 1
    except KeyboardInterrupt:
        print("\nStopped; the same command goes on from what is finished.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has gone, as head does
        let_go_of_broken_pipes()
        return PIPE_ENDED
    except OSError as error:
        let_go_of_broken_pipes()
        return _complain(f"cannot read or write {error.filename or 'the output'}: {error.strerror or error}")
    except Exception as error:
        # A technique of the user's own is theirs to mend; anything else is our mistake, and its traceback our news.
        from stepladder.techniques.guard import raised_in_hook

        sentence = raised_in_hook(error)
        if for_want_of_memory(error):
            return _complain(
                f"out of memory: {sentence or described(error)}; fewer images, smaller ones, a smaller batch or a "
                "smaller network need less (--limit, --size, --batch-size, --network, where the command has them)"
            )
        if sentence is None:
            raise
        return _complain(sentence)
    return code if isinstance(code, int) else 0


def _readings_of(arguments: Sequence[str]) -> AbstractContextManager[None]:
    """Where a command notes what it reads: bench measures, and so in a list of its own."""
    if not arguments or arguments[0] != "bench":
        return nullcontext()
    from stepladder.studies.files.ledger import list_apart

    return list_apart()


def _show_warning(show: Callable[..., None], message: Warning | str, *where: Any, **more: Any) -> None:
    """Print what Stepladder warns of as a sentence; all else as Python does."""
    if isinstance(message, StepladderWarning):
        print(printable(f"Note: {to_flags(str(message))}"), file=sys.stderr)
    else:
        show(message, *where, **more)


def _complain(message: str, code: int = 2) -> int:
    # Not through rich: its wrapping and markup would change paths and names.
    color = sys.stderr is not None and sys.stderr.isatty()
    message = printable(message)
    with suppress(BrokenPipeError):  # nobody reads it; the code says enough
        print(f"\033[31mError:\033[0m {message}" if color and code == 2 else f"Error: {message}", file=sys.stderr)
    let_go_of_broken_pipes()
    return code
