"""Dropout layers; what they draw in training is tested with their functions."""

from tests.cases.table import R
from tests.layers.table import layer

X = R(2, 3, 4)

LAYERS = [
    layer("Dropout", inputs=(X,), random=True),
    layer("Dropout", 0.0, inputs=(X,)),
    layer("Dropout1d", 0.2, inputs=(X,), random=True),
    layer("Dropout2d", 0.2, True, inputs=(R(2, 3, 2, 2),), random=True),
    layer("Dropout3d", 0.2, inputs=(R(2, 3, 2, 2, 2),), random=True),
    layer("Dropout3d", 1.0, inputs=(R(2, 3, 2, 2, 2),)),
    layer("AlphaDropout", 0.2, inputs=(X,), random=True),
    layer("FeatureAlphaDropout", 0.2, inputs=(X,), random=True),
]
