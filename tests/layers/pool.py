"""Pooling layers."""

import numpy as np

from tests.cases.pool import X1, X2, X3, places
from tests.cases.table import R
from tests.layers.table import layer

LAYERS = [
    layer("AvgPool1d", 3, 2, 1, True, False, inputs=(X1,)),
    layer("AvgPool2d", (3, 2), inputs=(X2,)),
    layer("AvgPool2d", 3, 2, 1, True, False, 4, inputs=(X2[0],)),
    layer("AvgPool3d", 2, 1, inputs=(X3,)),
    layer("MaxPool1d", 3, 2, 1, 2, ceil_mode=True, inputs=(X1,)),
    layer("MaxPool2d", 3, 2, padding=1, inputs=(X2,)),
    layer("MaxPool3d", 2, inputs=(X3,)),
    layer("MaxUnpool1d", 2, inputs=(R(2, 3, 5), places(2, 3, 5, within=10))),
    layer("MaxUnpool2d", 3, 2, 1, inputs=(R(2, 3, 3, 4), places(2, 3, 3, 4, within=35))),
    layer("MaxUnpool3d", 2, inputs=(R(1, 2, 2, 3, 2), places(1, 2, 2, 3, 2, within=96))),
    layer("AdaptiveAvgPool1d", 4, inputs=(X1,)),
    layer("AdaptiveAvgPool2d", (None, 2), inputs=(X2,)),
    layer("AdaptiveAvgPool3d", 1, inputs=(X3,)),
    layer("AdaptiveMaxPool1d", 4, inputs=(X1,)),
    layer("AdaptiveMaxPool2d", (None, 2), inputs=(X2,)),
    layer("AdaptiveMaxPool3d", 2, inputs=(X3,)),
    layer("LPPool1d", 2.0, 3, inputs=(np.abs(X1),)),
    layer("LPPool2d", 2.0, 3, 2, True, inputs=(X2,)),
    layer("LPPool3d", 2, 2, inputs=(X3,)),
]
