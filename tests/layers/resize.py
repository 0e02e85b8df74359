"""Layers that resize."""

from tests.cases.table import R
from tests.layers.table import layer

IMAGE = R(2, 2, 5, 6)

LAYERS = [
    layer("Upsample", (7, 3), inputs=(IMAGE,)),
    layer("Upsample", scale_factor=1.7, inputs=(R(2, 3, 4),)),
    layer("Upsample", None, 1.7, "bilinear", True, True, inputs=(IMAGE,)),
    layer("UpsamplingNearest2d", scale_factor=2, inputs=(IMAGE,)),
    layer("UpsamplingNearest2d", (7, 3), inputs=(IMAGE,)),
    layer("UpsamplingBilinear2d", scale_factor=2, inputs=(IMAGE,)),
    layer("UpsamplingBilinear2d", (7, 3), inputs=(IMAGE,)),
]
