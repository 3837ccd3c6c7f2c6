"""The command line: parses, calls the library, prints. It holds no logic, and ``--help`` imports no torch."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from stepladder.cli.flags import to_flags
from stepladder.cli.quick import leave
from stepladder.cli.techniques_app import app as techniques_app
from stepladder.errors import StepladderError, for_want_of_memory

#: Exit status by reason. 75 is "temporary failure, try again" (sysexits.h), which batch queues understand.
EXIT_CODES = {"interrupt": 130, "terminate": 143, "hangup": 129, "time": 75}

app = App(
    name="stepladder",
    help="Which training techniques actually help on your images, by how much, and the trained model to take home.",
    help_epilogue="Start with: stepladder study digits",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)


def _add(parent: App, path: str, help_text: str, *examples: str) -> None:
    """Add a command by its import path, so that its module is loaded when it runs and not when commands are listed."""
    epilogue = "\n".join(["Examples:", *(f"  stepladder {example}" for example in examples)])
    parent.command(
        f"stepladder.cli.{path}", name=path.split(":")[1].replace("_", "-"), help=help_text, help_epilogue=epilogue
    )


_add(
    app,
    "study:study",
    "Train every rung with several seeds and say what the evidence holds. Run again, the same command trains only "
    "what is missing and rebuilds the report; more seeds add to what is there.",
    "study digits",
    "study my_images/ --seeds 5",
    "study my_images/ --plan ladder+leave-one-out --seeds auto",
    "study cifar10-jpeg/ --validation 0 --seeds 1",
    "study digits --rung base: --rung +mixup:mixup --rung +smooth:label_smoothing",
    "study digits --technique my_file.py:Blur",
    "study my_images/ --workers 2 --max-time 2h",
)
_add(
    app,
    "study:plan",
    "Print what a study would run, for how long, and the smallest difference that it could find; run nothing. It takes "
    "the options of study that concern data, recipe and rules.",
    "plan digits --plan ladder+leave-one-out",
    "plan my_images/ --seeds auto --max-seeds 12 --pilot studies/digits-ladder",
)
_add(
    app,
    "train:train",
    "Train one recipe, with all its techniques, and leave a model folder.",
    "train digits --rung standardize",
    "train my_images/ --recipe report --set epochs=5 --set optimizer.lr=0.05",
)
_add(
    app,
    "data:data",
    "Look at an image set before it is trusted: counts, damaged and constant images, copies inside and across splits, "
    "balance, and whether it may be flipped.",
    "data my_images/",
    "data digits --sheet digits.png --html digits.html",
    "data --list",
)
_add(
    app,
    "inspect:inspect",
    "Show what a network costs and sees before a step of training: sizes, weights, MACs, receptive fields, advice.",
    "inspect report",
    "inspect resnet9 --input 3x64x64 --compare",
    "inspect 'conv5-32 pool2 conv5-64 pool2 fc1000 fc' --data digits --explain",
    "inspect --solve 'conv5 32->32'",
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
    "curve:curve",
    "Train one recipe on 10, 20, 50 and 100 % of the training images and say what twice as many would bring.",
    "curve digits",
    "curve my_images/ --recipe report --seeds 5",
)
_add(
    app,
    "bag_of_words:bag_of_words",
    "Classify without a network: a bag of visual words and a linear SVM, fitted on the same training images, its C "
    "chosen on validation, test read once. What a network must beat to be worth its while.",
    "bag-of-words digits",
    "bag-of-words my_images/ --descriptor sift --seeds 5",
    "study digits --with-bag-of-words",
)
_add(
    app,
    "sweep:sweep",
    "Train one recipe over a grid of settings, or search a range, and say by validation where the best lies. Test is "
    "not read. Run again, the same command trains only what is missing.",
    "sweep digits --over optimizer.lr=0.3,0.1,0.03,0.01 --over batch_size=32,128",
    "sweep my_images/ --over dropout.p=0,0.25,0.5,0.75 --seeds 3",
    "sweep digits --over optimizer.lr=0.001..0.3 --search optuna --trials 40",
)
_add(
    app,
    "lr_range:lr_range",
    "Raise the learning rate in every step until the loss diverges, and suggest one (Smith 2017). Only training images "
    "are used.",
    "lr-range digits",
    "lr-range my_images/ --rung standardize --set optimizer.name=adamw",
)
_add(
    app,
    "report:report",
    "Rebuild a study's report from its files, without training; or compare several studies of the same data.",
    "report studies/digits-ladder",
    "report studies/digits-ladder studies/digits-lenet5-ladder --out comparison",
)
_add(
    app,
    "check:check",
    "Verify a study: every checksum and hash, and that results and verdicts follow from its trials.",
    "check studies/digits-ladder",
    "check studies/digits-ladder --repair",
)
_add(
    app,
    "predict:predict",
    "Say what is on images, by a model or an exported file; and how often it is right, in folders named after classes.",
    "predict studies/digits-ladder/trials/ID/model photos/",
    "predict model.onnx 'photos/*.jpg' --top 3 --csv",
    "predict MODEL - --json < list_of_files.txt",
)
_add(
    app,
    "export:export",
    "Export a model as one ONNX file, preprocessing included, for programs without PyTorch. Checked, or not written.",
    "export studies/digits-ladder/trials/ID/model --out digits.onnx",
    "export MODEL --quantize int8 --images photos/",
)
_add(
    app,
    "explain:explain",
    "Draw what in an image speaks for its class (Grad-CAM, occlusion), and the first layer's filters.",
    "explain studies/digits-ladder/trials/ID/model photo.jpg --out why.png",
)
bench = App(name="bench", help="Measure Stepladder on this machine.")
_add(
    bench,
    "bench:engine",
    "Measure training images a second: a plain PyTorch loop, Stepladder's, and the machine's own matrix product.",
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
    "Measure what one waits for: the help, a network's table, the first training step of a study.",
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
    if sys.argv[1:2] == ["predict"]:  # it leaves nothing behind that would want to be closed
        leave(code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 done, 1 done with failed trials, 2 wrong input, 130 interrupted."""
    try:
        code = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        known = arguments[:1] if arguments and arguments[0] in app else []
        return _complain(f"{error}\nSee: {' '.join(['stepladder', *known, '--help'])}")
    except StepladderError as error:
        return _complain(to_flags(str(error)), error.exit_code)
    except KeyboardInterrupt as stopped:
        return _say_how_to_go_on(stopped, arguments)
    except BrokenPipeError:
        # Whoever read our output has gone, as head does. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _complain(f"cannot read or write {error.filename or 'the output'}: {error.strerror or error}")
    except Exception as error:
        # A technique of the user's own is theirs to mend; anything else is our mistake, and its traceback our news.
        from stepladder.techniques.guard import described, raised_in_hook

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


def _say_how_to_go_on(stopped: KeyboardInterrupt, arguments: Sequence[str]) -> int:
    """Print what is kept of a job that was stopped, and the command that goes on; return the reason's exit code."""
    reason = getattr(stopped, "reason", "interrupt")
    kept, _, _ = (getattr(stopped, "__notes__", None) or ["Stopped; "])[-1].rpartition("; the same call goes on")
    typed = shlex.join(["stepladder", *arguments])
    # A command to copy stays one line.
    print(f"\n{kept.replace('max_time', '--max-time') or 'Stopped'}; continue with:\n  {typed}", file=sys.stderr)
    return EXIT_CODES.get(reason, 130)


def _complain(message: str, code: int = 2) -> int:
    # Not through rich: its wrapping and markup would change paths and names.
    color = sys.stderr.isatty()
    print(f"\033[31mError:\033[0m {message}" if color and code == 2 else f"Error: {message}", file=sys.stderr)
    return code
