"""The layers whose window slides over a map, convolutions and poolings, and what all layers have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from stepladder.errors import RecipeError

#: What a tensor's sizes can count to.
_LARGEST = 2**31 - 1
Positive = Annotated[int, Field(ge=1, le=_LARGEST, strict=True)]
NotNegative = Annotated[int, Field(ge=0, le=_LARGEST, strict=True)]
Classes = Literal["classes"]
YesNo = Annotated[bool, Field(strict=True)]


class BaseLayer(BaseModel):
    """What all layers have: a name, frozen values, and a written form that does not change as options are added."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Options that are written only where they differ from their default. All that came after the first version are
    #: among them, so that what was saved before stays equal, to the fingerprint, to what is saved now.
    quiet: ClassVar[frozenset[str]] = frozenset()

    #: A word, because the built module's weights are stored under it.
    name: Annotated[str, Field(pattern=r"^\w+$")]

    @model_serializer(mode="wrap")
    def _leave_out_quiet_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        table: dict[str, Any] = write(self)
        fields = type(self).model_fields
        return {
            key: value for key, value in table.items() if key not in self.quiet or value != fields[key].get_default()
        }


class _Convolution(BaseLayer):
    """What convolutions share: square kernels; ``padding`` zeros on each side, or "same", which keeps the size.

    "same" adds dilation·(kernel_size − 1) zeros in all, the odd one at the bottom and right, and needs stride 1.
    """

    quiet = frozenset({"dilation", "groups", "multiplier", "bias"})

    kernel_size: Positive
    stride: Positive = 1
    padding: NotNegative | Literal["same"] = 0
    dilation: Positive = 1
    bias: YesNo = True

    @model_validator(mode="after")
    def _same_needs_stride_1(self) -> _Convolution:
        if self.padding == "same" and self.stride != 1:
            raise RecipeError(
                f"padding is 'same' with a stride of {self.stride}; the size stays only with stride 1, so write the "
                f"padding as a number, as {self.dilation * (self.kernel_size - 1) // 2}"
            )
        return self


class Conv(_Convolution):
    """A 2-D convolution; ``channels = "classes"`` gives one map a class.

    With ``groups``, each group of output channels sees its own share of the input channels.
    """

    kind: Literal["conv"] = "conv"
    channels: Positive | Classes
    groups: Positive = 1


class LocallyConnected(_Convolution):
    """A convolution without shared weights: its own kernel, and its own bias, at every position."""

    kind: Literal["locally_connected"] = "locally_connected"
    channels: Positive


class DepthwiseConv(_Convolution):
    """A convolution of each channel by itself, into ``multiplier`` channels each."""

    kind: Literal["depthwise_conv"] = "depthwise_conv"
    multiplier: Positive = 1


class _Pool(BaseLayer):
    """What poolings share: a window; ``stride`` is the window's size where it is not given.

    ``ceil_mode`` keeps a border that does not fill a window. ``padding`` is at most half of the window.
    """

    quiet = frozenset({"padding"})

    kernel_size: Positive
    stride: Positive
    padding: NotNegative = 0
    ceil_mode: YesNo = False

    @model_validator(mode="before")
    @classmethod
    def _stride_is_the_window(cls, table: Any) -> Any:
        if isinstance(table, Mapping) and "stride" not in table and "kernel_size" in table:
            return {**table, "stride": table["kernel_size"]}
        return table

    @model_validator(mode="after")
    def _padding_at_most_half(self) -> _Pool:
        if 2 * self.padding > self.kernel_size:
            raise RecipeError(
                f"padding is {self.padding} around windows of {self.kernel_size}; it must be at most half of a "
                f"window, {self.kernel_size // 2}, or some windows would hold nothing but padding"
            )
        return self


class MaxPool(_Pool):
    """The largest value of each window; padding never wins."""

    kind: Literal["max_pool"] = "max_pool"


class AvgPool(_Pool):
    """The mean of each window; padding counts as zeros."""

    kind: Literal["avg_pool"] = "avg_pool"
