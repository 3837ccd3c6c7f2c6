"""The table that lists every technique; nothing else does."""

from __future__ import annotations

from stepladder.techniques.base import Technique
from stepladder.techniques.batch_norm import BatchNorm
from stepladder.techniques.class_weights import ClassWeights
from stepladder.techniques.color_jitter import ColorJitter
from stepladder.techniques.cosine_lr import CosineLR
from stepladder.techniques.cutmix import Cutmix
from stepladder.techniques.cutout import Cutout
from stepladder.techniques.dirac_init import DiracInit
from stepladder.techniques.dropout import Dropout
from stepladder.techniques.ema import EMA
from stepladder.techniques.exponential_lr import ExponentialLR
from stepladder.techniques.focal_loss import FocalLoss
from stepladder.techniques.global_average_pooling import GlobalAveragePooling
from stepladder.techniques.gradient_clipping import GradientClipping
from stepladder.techniques.group_norm import GroupNorm
from stepladder.techniques.he_init import HeInit
from stepladder.techniques.horizontal_flip import HorizontalFlip
from stepladder.techniques.label_smoothing import LabelSmoothing
from stepladder.techniques.layer_norm import LayerNorm
from stepladder.techniques.lighting import Lighting
from stepladder.techniques.lookahead import Lookahead
from stepladder.techniques.min_max import MinMax
from stepladder.techniques.mirror_symmetry import MirrorSymmetry
from stepladder.techniques.mixup import Mixup
from stepladder.techniques.one_cycle import OneCycle
from stepladder.techniques.pca_init import PCAInit
from stepladder.techniques.per_image_contrast import PerImageContrast
from stepladder.techniques.rand_augment import RandAugment
from stepladder.techniques.random_crop import RandomCrop
from stepladder.techniques.random_erasing import RandomErasing
from stepladder.techniques.reduce_on_plateau import ReduceOnPlateau
from stepladder.techniques.rotate import Rotate
from stepladder.techniques.scale import Scale
from stepladder.techniques.spatial_dropout import SpatialDropout
from stepladder.techniques.standardize import Standardize
from stepladder.techniques.step_lr import StepLR
from stepladder.techniques.subtract_mean_image import SubtractMeanImage
from stepladder.techniques.swa import SWA
from stepladder.techniques.translate import Translate
from stepladder.techniques.trivial_augment import TrivialAugment
from stepladder.techniques.upscale import Upscale
from stepladder.techniques.vertical_flip import VerticalFlip
from stepladder.techniques.warmup import Warmup
from stepladder.techniques.weight_decay import WeightDecay
from stepladder.techniques.whitening_stem import WhiteningStem
from stepladder.techniques.xavier_init import XavierInit
from stepladder.techniques.zca import ZCA

_CATALOGUE: tuple[type[Technique], ...] = (
    # inputs
    Standardize,
    MinMax,
    SubtractMeanImage,
    PerImageContrast,
    ZCA,
    Upscale,
    # augmentation
    RandomCrop,
    HorizontalFlip,
    VerticalFlip,
    Translate,
    Rotate,
    Scale,
    ColorJitter,
    Lighting,
    TrivialAugment,
    RandAugment,
    Cutout,
    RandomErasing,
    Mixup,
    Cutmix,
    # learning rate
    ExponentialLR,
    StepLR,
    CosineLR,
    OneCycle,
    Warmup,
    ReduceOnPlateau,
    # network
    Dropout,
    SpatialDropout,
    BatchNorm,
    GroupNorm,
    LayerNorm,
    GlobalAveragePooling,
    HeInit,
    XavierInit,
    DiracInit,
    PCAInit,
    MirrorSymmetry,
    WhiteningStem,
    # loss and weights
    LabelSmoothing,
    FocalLoss,
    ClassWeights,
    GradientClipping,
    WeightDecay,
    EMA,
    SWA,
    Lookahead,
)

#: Every technique of the catalogue by name, in the order of the groups that the list shows.
TECHNIQUES: dict[str, type[Technique]] = {technique.name: technique for technique in _CATALOGUE}
