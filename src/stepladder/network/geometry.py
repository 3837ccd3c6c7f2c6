"""Windows that slide over a map: convolutions and poolings, one axis at a time."""

from __future__ import annotations

from dataclasses import dataclass

from stepladder.network.spec import AvgPool, BaseLayer, Conv, DepthwiseConv, LocallyConnected, MaxPool, Pad


@dataclass(frozen=True)
class Window:
    """How a layer reads one axis of its input.

    Attributes:
        kernel_size: taps of a window.
        stride: pixels from one window to the next.
        dilation: pixels from one tap to the next.
        before: pixels of padding before the first pixel (at the top or left).
        after: the same behind the last pixel.
        ceil_mode: whether a last window that overhangs by less than a stride is kept.
    """

    kernel_size: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    ceil_mode: bool = False

    @property
    def extent(self) -> int:
        """Pixels from the first tap to the last: dilation·(kernel_size − 1) + 1."""
        return self.dilation * (self.kernel_size - 1) + 1

    def output_size(self, size: int) -> int:
        """⌊(size + padding − extent) / stride⌋ + 1 (Dumoulin and Visin 2016, relationship 15); 0 where nothing fits.

        With ``ceil_mode`` rounded up instead; as in PyTorch, a window that would start beyond the map is left out.
        """
        room = size + self.before + self.after - self.extent + (self.stride - 1 if self.ceil_mode else 0)
        if room < 0:
            return 0
        windows = room // self.stride + 1
        if self.ceil_mode and (windows - 1) * self.stride >= size + self.before:
            windows -= 1
        return windows

    def unread(self, size: int) -> int:
        """Pixels at the end of an axis of ``size`` that no window reaches."""
        reached = (self.output_size(size) - 1) * self.stride + self.extent - self.before
        return max(0, size - reached)


def windows_of(layer: BaseLayer, height: int, width: int) -> tuple[Window, Window] | None:
    """Return how ``layer`` reads rows and columns of (height, width) maps; None where no window slides."""
    if isinstance(layer, Conv | DepthwiseConv | LocallyConnected):
        if layer.padding == "same":
            total = layer.dilation * (layer.kernel_size - 1)
            before, after = total // 2, total - total // 2
        else:
            before = after = layer.padding
        window = Window(layer.kernel_size, layer.stride, layer.dilation, before, after)
        return window, window
    if isinstance(layer, MaxPool | AvgPool):
        pad, ceil = layer.padding, layer.ceil_mode
        window = Window(layer.kernel_size, layer.stride, 1, pad, pad, ceil)
        return window, window
    if isinstance(layer, Pad):
        rows, columns = (_padded(size, layer.size) for size in (height, width))
        return rows, columns
    return None


def _padded(size: int, wanted: int) -> Window:
    missing = max(0, wanted - size)
    return Window(1, before=missing // 2, after=missing - missing // 2)
