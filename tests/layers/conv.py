"""Convolution layers; the lazy ones are in tests/nn/test_conv.py, since they start from an example."""

from tests.cases.table import R
from tests.layers.table import layer

X1, X2, X3 = R(2, 4, 9), R(2, 4, 7, 6), R(1, 2, 4, 5, 3)

LAYERS = [
    layer("Conv1d", 4, 6, 3, inputs=(X1,)),
    layer("Conv1d", 4, 6, 4, padding="same", padding_mode="circular", inputs=(X1,)),
    layer("Conv1d", 4, 6, 3, padding=2, bias=False, padding_mode="reflect", inputs=(R(4, 9),)),
    layer("Conv2d", 4, 6, 3, inputs=(X2,)),
    layer("Conv2d", 4, 6, (3, 2), (2, 1), (1, 2), groups=2, padding_mode="replicate", inputs=(X2,)),
    layer("Conv2d", 4, 4, 3, padding="valid", dilation=2, padding_mode="circular", groups=4, inputs=(X2,)),
    layer("Conv3d", 2, 4, 2, inputs=(X3,)),
    layer("Conv3d", 2, 4, (2, 3, 2), padding=(0, 1, 1), padding_mode="reflect", inputs=(X3,)),
    layer("ConvTranspose1d", 4, 6, 3, 2, 1, 1, inputs=(X1,)),
    layer("ConvTranspose1d", 4, 6, 3, 2, inputs=(X1, [20])),
    layer("ConvTranspose2d", 4, 6, (3, 2), 2, groups=2, bias=False, inputs=(X2,)),
    layer("ConvTranspose2d", 4, 6, 3, 3, inputs=(X2, (22, 19))),
    layer("ConvTranspose3d", 2, 4, 2, dilation=2, inputs=(X3,)),
]
