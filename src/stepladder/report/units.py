"""How a number is written: one place, so that the page, the tables and the sentences agree."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, inf, log10

from stepladder.training.unit import Unit

#: Stands where a figure is not defined; every table says what it means there.
UNDEFINED = "–"

_MINUS = "−"


def percent(fraction: float) -> str:
    """Write a fraction of 1 as a percentage with its sign.

    >>> percent(0.7467)
    '74.67 %'
    """
    return f"{100 * fraction:.2f} %"


def hundredths(fraction: float | None) -> str:
    """Write a fraction of 1 in percent where the column's header already says so.

    >>> hundredths(0.7467), hundredths(None)
    ('74.67', '–')
    """
    return UNDEFINED if fraction is None else f"{100 * fraction:.2f}"


def mean_and_spread(mean: float | None, sd: float | None) -> str:
    """Write mean ± standard deviation in percent; the spread is left out where there is none.

    >>> mean_and_spread(0.7467, 0.0012), mean_and_spread(0.7467, None)
    ('74.67 ± 0.12', '74.67')
    """
    return hundredths(mean) if sd is None else f"{hundredths(mean)} ± {hundredths(sd)}"


def points(difference: float | None) -> str:
    """Write a difference of fractions in percentage points, always with its sign.

    >>> points(0.0702), points(-0.003), points(-0.00001)
    ('+7.02', '−0.30', '0.00')
    """
    if difference is None:
        return UNDEFINED
    text = f"{100 * abs(difference):.2f}"
    if float(text) == 0:
        return text
    return ("+" if difference > 0 else _MINUS) + text


def interval(bounds: tuple[float, float] | None, most: float = 1.0) -> str:
    """Write an interval of differences in percentage points; "any" stands at an end that is the largest possible.

    >>> interval((-0.003, 0.012)), interval((-1.0, 0.452)), interval((-1.0, 1.0))
    ('[−0.30, +1.20]', '[any, +45.20]', 'anything')

    Args:
        most: the largest difference that there can be, a fraction of 1.
    """
    if bounds is None:
        return UNDEFINED
    low, high = ("any" if abs(end) >= most else points(end) for end in bounds)
    return "anything" if low == high == "any" else f"[{low}, {high}]"


@dataclass(frozen=True)
class Scale:
    """How figures of one metric are written: a fraction of 1 in percent and points, a loss in nats, a cost as it is.

    >>> Scale(Unit.SHARE).difference(0.0702), Scale(Unit.NATS).difference(-0.0702)
    ('+7.02', '−0.0702')
    """

    counted_in: Unit

    @property
    def share(self) -> bool:
        """Whether figures are fractions of 1."""
        return self.counted_in is Unit.SHARE

    @property
    def unit(self) -> str:
        """The unit of a value, for a table's head."""
        return {Unit.SHARE: "%", Unit.NATS: "nats", Unit.COST: "an image", Unit.NUMBER: "units"}[self.counted_in]

    @property
    def step(self) -> str:
        """The unit of a difference."""
        return "points" if self.share else self.unit

    def value(self, value: float | None) -> str:
        """Write a value without its unit."""
        if value is None or self.share:
            return hundredths(value)
        return _significant(value) if self.counted_in is Unit.NUMBER else f"{value:.4f}"

    def full(self, value: float) -> str:
        """Write a value with its unit."""
        return f"{self.value(value)} {self.unit}"

    def spread(self, mean: float | None, sd: float | None) -> str:
        """Write mean ± standard deviation, the spread left out where there is none."""
        return self.value(mean) if sd is None else f"{self.value(mean)} ± {self.value(sd)}"

    def difference(self, difference: float | None) -> str:
        """Write a difference, always with its sign."""
        if difference is None or self.share:
            return points(difference)
        if self.counted_in is Unit.NUMBER:
            text = _significant(abs(difference))
            return text if difference == 0 else ("+" if difference > 0 else _MINUS) + text
        text = f"{abs(difference):.4f}"
        return text if float(text) == 0 else ("+" if difference > 0 else _MINUS) + text

    def interval(self, bounds: tuple[float, float] | None, most: float | None = None) -> str:
        """Write an interval of differences; ``most`` is the largest possible one, 1 for shares where none is given."""
        if bounds is None or self.share:
            return interval(bounds, most or 1.0)
        return f"[{self.difference(bounds[0])}, {self.difference(bounds[1])}]"

    @property
    def factor(self) -> int:
        """What a value is multiplied by to stand on an axis, which is in percent for shares."""
        return 100 if self.share else 1

    def axis(self, value: float | None) -> float | None:
        """Return a value as the axis of a chart has it, to four digits."""
        return None if value is None else round(self.factor * value, 4)

    def axis_interval(self, bounds: tuple[float, float] | None) -> list[float | None] | None:
        """Return both ends of an interval as the axis of a chart has them."""
        return None if bounds is None else [self.axis(bounds[0]), self.axis(bounds[1])]


def _significant(value: float) -> str:
    """Write a figure of unknown unit: four decimals up to 10, fewer above, and two digits of what is next to nothing.

    >>> _significant(0.41236), _significant(1234.56), _significant(0.00001234)
    ('0.4124', '1,234.6', '1.2e-05')
    """
    size = abs(value)
    if 0 < size < 5e-4 or size >= 1e9:
        return f"{value:.2g}".replace("-", _MINUS, 1) if value < 0 else f"{value:.2g}"
    decimals = max(0, 4 - floor(log10(size))) if size >= 10 else 4
    return f"{value:,.{decimals}f}".replace("-", _MINUS)


def amount(scale: Scale, size: float) -> str:
    """Write a size that has no sign, with its unit and no more digits than it has.

    >>> amount(Scale(Unit.SHARE), 0.005), amount(Scale(Unit.NATS), 0.01)
    ('0.5 points', '0.01 nats')
    """
    return f"{100 * size if scale.share else size:.3g} {scale.step}"


def size(scale: Scale, difference: float) -> str:
    """Write how large a difference must be to be found; a share has no more than 100 points.

    >>> size(Scale(Unit.SHARE), 1.32), size(Scale(Unit.SHARE), 0.0334)
    ('more than 100 points', '3.34 points')
    """
    return "more than 100 points" if scale.share and difference > 1 else amount(scale, difference)


def correlation(value: float | None) -> str:
    """Write a correlation.

    >>> correlation(-0.961), correlation(-0.001), correlation(None)
    ('−0.96', '0.00', '–')
    """
    return UNDEFINED if value is None else f"{round(value, 2) + 0.0:.2f}".replace("-", _MINUS)


def capital(text: str) -> str:
    """Return a text that begins with a capital letter, the others as they are.

    >>> capital("test AUC")
    'Test AUC'
    """
    return text[:1].upper() + text[1:]


def p_value(value: float | None) -> str:
    """Write a p-value with two digits, and as a bound where it is tiny.

    >>> p_value(0.0314), p_value(0.00002), p_value(1.0), p_value(None)
    ('0.031', '< 0.001', '1.0', '–')
    """
    if value is None:
        return UNDEFINED
    return "< 0.001" if value < 0.001 else f"{value:.2g}" if value < 0.995 else "1.0"


def duration(seconds: float | None) -> str:
    """Write a wall time with the two units that matter.

    >>> duration(8.31), duration(41.2), duration(195), duration(7261)
    ('8.3 s', '41 s', '3 min 15 s', '2 h 1 min')
    """
    if seconds is None:
        return UNDEFINED
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def time_range(low: float, high: float) -> str:
    """Write a range of wall time with as many digits as an estimate has.

    >>> time_range(231, 348), time_range(41, 63), time_range(95, 152), time_range(6100, 9200)
    ('3.5 to 6 min', '40 to 65 s', '90 to 160 s', '100 to 155 min')
    >>> time_range(0.2, 3.6), time_range(25, 290), time_range(30500, 46000), time_range(59, 60)
    ('up to 4 s', '25 s to 5 min', '8 to 13 h', '55 to 60 s')
    """
    size, unit, steps = _unit_of(high)
    last = _rounded(high / size, steps, up=True)
    if low < size:
        size, small, steps = _unit_of(low)
        first = _rounded(low / size, steps, up=False)
        if small != unit:
            return f"{first:g} {small} to {last:g} {unit}"
    else:
        first = _rounded(low / size, steps, up=False)
    if first == 0:
        return f"up to {last:g} {unit}"
    return f"about {last:g} {unit}" if first == last else f"{first:g} to {last:g} {unit}"


#: Below how many seconds a range is written in which unit, and below how many of that unit in which steps.
_UNITS: tuple[tuple[float, int, str, tuple[tuple[float, float], ...]], ...] = (
    (180, 1, "s", ((20, 1), (75, 5), (inf, 10))),
    (10_800, 60, "min", ((10, 0.5), (60, 1), (inf, 5))),
    (inf, 3_600, "h", ((8, 0.5), (inf, 1))),
)


def _unit_of(seconds: float) -> tuple[int, str, tuple[tuple[float, float], ...]]:
    return next((size, unit, steps) for most, size, unit, steps in _UNITS if seconds < most)


def _rounded(value: float, steps: tuple[tuple[float, float], ...], *, up: bool) -> float:
    step = next(step for most, step in steps if value <= most)
    # A breath of tolerance: 60 s are no more than 60.
    return step * (ceil(value / step - 1e-9) if up else floor(value / step + 1e-9))


def count(number: int, noun: str) -> str:
    """Write a number with its noun, in the plural where there is more or less than one.

    >>> count(1, "seed"), count(5000, "image")
    ('1 seed', '5,000 images')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listing(items: list[str]) -> str:
    """Join items as a sentence does.

    >>> listing(["a"]), listing(["a", "b"]), listing(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
