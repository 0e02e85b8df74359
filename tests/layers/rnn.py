"""Recurrent layers and cells."""

from tests.cases.table import R
from tests.layers.table import layer

X = R(5, 2, 3)
H = R(2, 4)

LAYERS = [
    layer("RNN", 3, 4, inputs=(X,)),
    layer("RNN", 3, 4, 2, "relu", inputs=(X, R(2, 2, 4))),
    layer("RNN", 3, 4, nonlinearity="relu", bias=False, bidirectional=True, inputs=(X,)),
    layer("GRU", 3, 4, inputs=(X,)),
    layer("GRU", 3, 4, 2, batch_first=True, bidirectional=True, inputs=(X, R(4, 5, 4))),
    layer("GRU", 3, 4, 2, False, inputs=(R(5, 3),)),
    layer("LSTM", 3, 4, inputs=(X,)),
    layer("LSTM", 3, 4, 2, batch_first=True, bidirectional=True, inputs=(X,)),
    layer("LSTM", 3, 4, 2, dropout=0.5, inputs=(X,), random=True),
    layer("RNNCell", 3, 4, inputs=(R(2, 3), H)),
    layer("RNNCell", 3, 4, False, "relu", inputs=(R(3),)),
    layer("GRUCell", 3, 4, inputs=(R(2, 3), H)),
    layer("GRUCell", 3, 4, False, inputs=(R(2, 3),)),
    layer("LSTMCell", 3, 4, inputs=(R(2, 3),)),
    layer("LSTMCell", 3, 4, False, inputs=(R(3),)),
]
