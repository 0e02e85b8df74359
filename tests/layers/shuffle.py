"""Layers that rearrange, or change the shape alone."""

from tests.cases.table import R
from tests.layers.table import layer

LAYERS = [
    layer("PixelShuffle", 2, inputs=(R(2, 8, 3, 2),)),
    layer("PixelUnshuffle", 2, inputs=(R(2, 3, 4, 6),)),
    layer("ChannelShuffle", 3, inputs=(R(2, 6, 3, 2),)),
    layer("Flatten", inputs=(R(2, 3, 4),)),
    layer("Flatten", 0, 1, inputs=(R(2, 3, 4),)),
    layer("Flatten", 0, inputs=(R(),)),
    layer("Unflatten", 1, (2, -1), inputs=(R(2, 6, 3),)),
    layer("Unflatten", -2, (2, 3), inputs=(R(2, 6, 3),)),
]
