"""``python -m benchmarks NAME …``: the command line of the measurements."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from stepladder.cli.flags import to_flags
from stepladder.errors import StepladderError
from stepladder.studies.files.ledger import list_apart

app = App(
    name="python -m benchmarks",
    help="Measure Stepladder, for those who work on it.",
    help_format="plaintext",
    version_flags=(),
    suppress_keyboard_interrupt=False,
)


def _add(name: str, help_text: str, *examples: str) -> None:
    """Add a measurement; its module, ``benchmarks.<name>``, is loaded when it runs and not when they are listed."""
    epilogue = "\n".join(["Examples:", *(f"  python -m benchmarks {example}" for example in examples)])
    app.command(f"benchmarks.{name}:{name}", name=name, help=help_text, help_epilogue=epilogue)


_add(
    "training",
    "Measure training speed, accuracy and memory beside the same network in a notebook, plain PyTorch, Lightning, "
    "skorch and Keras, each in an environment of its own.",
    "training cifar10-jpeg/",
    "training --peers notebook tensors --rounds 1",
)
_add(
    "simulate",
    "Judge thousands of made-up studies whose truth is known, and hold the verdicts to their error rates.",
    "simulate",
)
_add(
    "growth",
    "Measure how time and memory of a study grow with images, seeds, classes, and the size of an image.",
    "growth",
    "growth --of images --largest 64000",
)
_add(
    "photographs",
    "Measure how time and memory of reading photographs grow with their number and with their size afterwards.",
    "photographs photos/",
)
_add(
    "take_home",
    "Answer a hundred awkward files by an exported model and its card alone, in Python and in Node.js.",
    "take_home trials/photos-transfer-seed0/model photos/",
)
_add(
    "cluster",
    "Lose processes and nodes of a study on a Ray cluster of this machine, compare its bits, measure what it costs.",
    "cluster",
    "cluster --of loss --victims node --epochs 20",
)
_add(
    "estimates",
    "Ask stepladder plan how long a study takes, run it, and compare.",
    "estimates digits",
    "estimates cifar10-jpeg/ --limit 500 --epochs 2 --rounds 2",
)
_add(
    "transfer",
    "Measure features and training steps of a pretrained network beside onnxruntime and plain PyTorch.",
    "transfer photos/",
)
_add(
    "foreign_networks",
    "Train, repeat to the bit, ask and export networks of timm and torchvision, as networks of a user's own.",
    "foreign_networks photos/",
    "foreign_networks photos/ --only resnet18 --only swin_t",
)
_add(
    "accuracy",
    "Measure the seconds of training that whole recipes take to a validation accuracy.",
    "accuracy cifar10-jpeg/ --wanted 80",
)
_add(
    "precision",
    "Measure what bfloat16 costs in accuracy: each step's gradient beside float64's, and whole trainings by paired "
    "seeds.",
    "precision cifar10-jpeg/ --limit 1000",
)
_add(
    "noise",
    "Measure whether averages over the last epochs lower the spread of the paired differences between rungs, on images "
    "held out of the training images.",
    "noise digits --seeds 20 --validation 0.5",
    "noise photos/ --rung schedule",
)
_add(
    "doublings",
    "Check the intervals of stepladder curve: predict sizes that were held back from smaller ones, and count how many "
    "hold what came.",
    "doublings digits --draws 6",
    "doublings photos/ --size 16 --budget steps --with earlier.json",
)
_add(
    "atlas",
    "Run the studies of the atlas that are missing, on real image sets and within a budget of time, and write what "
    "they find.",
    "atlas --data sets/ --plan",
    "atlas --data sets/ --budget 4h",
    "atlas --only digits --budget 20m",
    "atlas --page",
)
_add(
    "pools",
    "Pool thousands of made-up image sets whose truth is known, and count how often the intervals of stepladder pool "
    "hold it.",
    "pools",
    "pools --pools 500",
)
_add(
    "lr_range",
    "Hold the rate that stepladder lr-range suggests against a sweep: is it within a factor of two of the best?",
    "lr_range digits --rung standardize --set epochs=12",
    "lr_range photos/ --limit 50 --size 32 --recipe small",
)
_add(
    "soak",
    "Kill studies of the digits at random moments, for an hour, and compare what they leave with the bits of an "
    "undisturbed one; record memory and open files meanwhile.",
    "soak",
    "soak --minutes 2 --limit 40 --epochs 3",
)
_add(
    "fuzz",
    "Read thousands of damaged files of every kind that Stepladder reads: a value or a sentence, in 5 s and 1 GB.",
    "fuzz",
    "fuzz npz tar --cases 1000 --seed 7",
)
_add(
    "serve",
    "Ask a served model for ten minutes, beside the same model in a plain FastAPI handler and in LitServe.",
    "serve",
    "serve trials/photos-transfer-seed0/model photo.jpg --seconds 120 --clients 4",
)
_add(
    "mutate",
    "Put small mistakes into the code, one at a time, and count how many of them the tests notice.",
    "mutate",
    "mutate judging splits --sample 40",
    "mutate --all",
)


def run(arguments: Sequence[str]) -> int:
    """Run one measurement and return its exit code: 0 done, 1 a promise is broken, 2 wrong input, 130 interrupted."""
    try:
        with list_apart():
            code = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        print(f"Error: {error}\nSee: python -m benchmarks --help", file=sys.stderr)
        return 2
    except StepladderError as error:
        print(f"Error: {to_flags(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
