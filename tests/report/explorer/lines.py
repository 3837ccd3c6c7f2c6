"""Random networks as lines: of every word of the language, with figures that fit and figures that do not."""

from __future__ import annotations

import random
from typing import Any

from stepladder.network.line import ALIASES, WORDS
from stepladder.network.spec import BaseLayer, Concat, Residual

#: Values that an option may be given: of every type that a line knows, within its range and beside it.
ODD = (
    *(
        "0",
        "1",
        "2",
        "3",
        "-1",
        "+2",
        "07",
        "99",
        "2147483647",
        "2147483648",
        "123456789012345678",
        "99999999999999999999",
    ),
    *(
        "0.5",
        "1.5",
        "1e-5",
        "1e5",
        "-0.0",
        "inf",
        "nan",
        ".5",
        "5.",
        "1_0",
        "yes",
        "no",
        "True",
        "2x3",
        "1x1",
        "0x1",
        "3×2",
    ),
    *(
        "same",
        "classes",
        "conv",
        "conv_norm",
        "pad",
        "relu",
        "silu",
        "sigmoid",
        "hard_sigmoid",
        "x",
        "it's",
        "é",
        "\\",
        "",
    ),
)
KEYS = (
    "kernel_size",
    "stride",
    "padding",
    "dilation",
    "groups",
    "bias",
    "channels",
    "ceil_mode",
    "name",
    "kind",
    "p",
    "eps",
)
KEYS += (
    "reduction",
    "hidden",
    "gate",
    "activation",
    "shortcut",
    "features",
    "momentum",
    "size",
    "alpha",
    "body",
    "strid",
)
NAMES = ("conv1", "stem", "a", "res1_shortcut", "se1_reduce", "a.b", "größe", "1", "__proto__", "fc1")
RUBBISH = (
    "(",
    ")",
    "|",
    "res",
    "cat",
    "cat(",
    "conf3-8",
    "poool2",
    "plain",
    "3",
    "-",
    ":",
    "x=1",
    "gap3",
    "π",
    "Conv2D3-8",
)


class Lines:
    """Draws lines and images from a seeded stream; the same seed, the same lines."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def one(self, depth: int = 0) -> str:
        """Return a line that mostly fits: layers of maps, an end, sometimes layers of rows."""
        parts = [self._maps(depth) for _ in range(self.random.randint(0, 5))]
        if self.random.random() < 0.15:
            parts.insert(0, "plain")
        end = self.random.choice(
            ["fc", "gap fc", "gmp fc", "flatten fc", "", "gap", "fc10", "conv1-classes gap", "fc20 fc", "fc 3"]
        )
        return " ".join([*parts, end]).strip() or "fc"

    def wild(self) -> str:
        """Return a line with a mistake or two somewhere in it, or with none."""
        tokens = self.one().split()
        for _ in range(self.random.randint(1, 2)):
            at = self.random.randrange(len(tokens) + 1)
            drawn = self.random.random()
            if drawn < 0.25:
                tokens.insert(at, self.random.choice(RUBBISH))
            elif drawn < 0.5:
                tokens.insert(
                    at,
                    self.random.choice(list(WORDS)) + self._figure() + self.random.choice(["", f"-{self._figure()}"]),
                )
            elif drawn < 0.9 and tokens:
                at = self.random.randrange(len(tokens))
                sign = "," if ":" in tokens[at] else ":"
                tokens[at] += f"{sign}{self.random.choice(KEYS)}={self.random.choice([*ODD, *NAMES])}"
            else:
                text = " ".join(tokens)
                at = self.random.randrange(len(text) + 1)
                tokens = (text[:at] + text[at + 1 :]).split() or ["fc"]
        return " ".join(tokens)

    def images(self) -> tuple[int, int, int]:
        """Return (C, H, W)."""
        least = self.random.choice([1, 16, 16, 24])
        sides = (self.random.randint(least, 40), self.random.randint(least, 40))
        return (self.random.choice([1, 2, 3, 4, 8]), *(sides if self.random.random() < 0.5 else (sides[0], sides[0])))

    def _figure(self) -> str:
        return self.random.choice([*ODD, "1", "2", "3", "4", "5", "8"])

    def _maps(self, depth: int) -> str:
        draw = self.random
        if depth < 3 and draw.random() < 0.2:
            inner = [
                " ".join(self._keeping(depth + 1) for _ in range(draw.randint(0, 3))) for _ in range(draw.randint(1, 3))
            ]
            if draw.random() < 0.5:
                shortcut = draw.choice(["", ":shortcut=conv_norm", ":shortcut=pad", ":name=block"])
                return f"{draw.choice(['res', 'Residual'])}{shortcut}({inner[0]})"
            return f"cat({' | '.join(inner)})"
        word = draw.choice([word for word in WORDS if WORDS[word].kind not in (Residual, Concat)])
        if word in ("flatten", "fc", "gap", "gmp", "ln") and draw.random() < 0.8:
            word = "conv"
        spelled = draw.choice([word, word, *(alias for alias, of in ALIASES.items() if of == word)])
        return (spelled.title() if draw.random() < 0.1 else spelled) + self._rest(word, WORDS[word].kind)

    def _keeping(self, depth: int) -> str:
        draw = self.random
        if draw.random() < 0.6:
            return draw.choice(
                [
                    "conv3-4",
                    "conv1-4",
                    "conv3-4:stride=2",
                    "bn",
                    "relu",
                    "gelu",
                    "dw3",
                    "se2",
                    "conv1x3-4",
                    "avgpool3:stride=1,padding=1",
                ]
            )
        return self._maps(depth)

    def _rest(self, word: str, kind: type[BaseLayer]) -> str:
        """Return figures and options within the ranges of a kind of layer."""
        draw = self.random
        text, options = "", []

        def maybe(text: str, share: float = 0.25) -> None:
            if draw.random() < share:
                options.append(text)

        if word in ("conv", "local", "dw"):
            sides = draw.choice(["1", "2", "3", "3", "5", "3x1", "1x4", "2x2"])
            text = sides + (f"-{draw.randint(1, 8)}" if word != "dw" else draw.choice(["", "-2"]))
            maybe(f"stride={draw.randint(1, 3)}")
            maybe(f"dilation={draw.randint(1, 3)}", 0.15)
            maybe(f"padding={draw.choice(['0', 'same', '1', '1x0', '2'])}")
            maybe("bias=no")
            if word == "conv":
                maybe(f"groups={draw.randint(1, 4)}", 0.15)
        elif word in ("pool", "avgpool"):
            text = str(draw.randint(1, 4))
            maybe(f"stride={draw.randint(1, 4)}", 0.4)
            maybe(f"padding={draw.randint(0, 2)}", 0.3)
            maybe("ceil_mode=yes", 0.4)
        elif word == "se":
            text = draw.choice(["", "2", "4", ":hidden=3", ":gate=hard_sigmoid", "8:activation=silu"])
        elif word == "bn":
            maybe("eps=0.001")
            maybe("momentum=0.01")
        else:
            usual: dict[str, Any] = {
                "pad": "9",
                "gn": "2",
                "drop": "0.5",
                "scale": "0.125",
                "celu": "0.3",
                "lrelu": "0.1",
            }
            text = usual.get(word, "") or draw.choice({"relu": ["", "6"], "fc": ["20"]}.get(word, [""]))
        maybe(f"name={draw.choice('abcdefgh')}{draw.randint(1, 99)}", 0.05)
        return text + (("," if ":" in text else ":") + ",".join(options) if options else "")
