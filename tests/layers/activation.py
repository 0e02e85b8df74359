"""Activation layers."""

from tests.cases.table import R
from tests.layers.table import layer

X = R(3, 4)

LAYERS = [
    layer("Sigmoid", inputs=(X,)),
    layer("Tanh", inputs=(X,)),
    layer("ReLU", inputs=(X,)),
    layer("ReLU6", inputs=(X,)),
    layer("Hardtanh", -2.0, 0.5, inputs=(X,)),
    layer("Threshold", 0.5, -1.0, inputs=(X,)),
    layer("LeakyReLU", 0.2, inputs=(X,)),
    layer("ELU", alpha=2.0, inputs=(X,)),
    layer("SELU", inputs=(X,)),
    layer("CELU", 0.5, inputs=(X,)),
    layer("GELU", "tanh", inputs=(X,)),
    layer("SiLU", inputs=(X,)),
    layer("Mish", inputs=(X,)),
    layer("Hardsigmoid", inputs=(X,)),
    layer("Hardswish", inputs=(X,)),
    layer("LogSigmoid", inputs=(X,)),
    layer("Softplus", 2.0, 3.0, inputs=(X,)),
    layer("Softsign", inputs=(X,)),
    layer("Hardshrink", 1.0, inputs=(X,)),
    layer("Softshrink", 1.0, inputs=(X,)),
    layer("Tanhshrink", inputs=(X,)),
    layer("GLU", 1, inputs=(X,)),
    layer("PReLU", inputs=(X,)),
    layer("PReLU", 3, 0.1, inputs=(R(2, 3, 4, 4),)),
    layer("RReLU", inputs=(X,), random=True),
    layer("Softmax", 1, inputs=(X,)),
    layer("Softmin", 0, inputs=(X,)),
    layer("LogSoftmax", 1, inputs=(X,)),
    layer("Softmax2d", inputs=(R(2, 3, 4, 4),)),
    layer("Softmax2d", inputs=(R(3, 4, 4),)),
]
