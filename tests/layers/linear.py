"""Linear layers."""

from tests.cases.table import R
from tests.layers.table import layer

X = R(3, 4)

LAYERS = [
    layer("Identity", inputs=(X,)),
    layer("Linear", 4, 2, inputs=(X,)),
    layer("Linear", 4, 2, bias=False, inputs=(X,)),
    layer("Linear", 4, 2, inputs=(R(2, 3, 4),)),
    layer("Bilinear", 4, 5, 2, inputs=(R(3, 4), R(3, 5))),
    layer("Bilinear", 4, 5, 2, bias=False, inputs=(R(4), R(5))),
]
