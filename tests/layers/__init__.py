"""One table of layers of `fnlearn.nn`; every test over layers asks its question of each line."""

from tests.layers import (
    activation,
    attention,
    conv,
    distance,
    dropout,
    embedding,
    fold,
    linear,
    loss,
    norm,
    pad,
    pool,
    resize,
    rnn,
    shuffle,
)
from tests.layers.table import LayerCase

FAMILIES = (
    activation,
    attention,
    conv,
    distance,
    dropout,
    embedding,
    fold,
    linear,
    loss,
    norm,
    pad,
    pool,
    resize,
    rnn,
    shuffle,
)
LAYERS: list[LayerCase] = [case for family in FAMILIES for case in family.LAYERS]
