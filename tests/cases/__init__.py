"""One table of calls to `fnlearn.functional`; every test over functions asks its question of each line."""

from tests.cases import (
    activation,
    attention,
    conv,
    distance,
    dropout,
    embedding,
    fold,
    grid,
    linear,
    loss,
    loss_likelihood,
    loss_margin,
    norm,
    pad,
    pool,
    resize,
    shuffle,
    softmax,
)
from tests.cases.table import Case

FAMILIES = (
    activation,
    attention,
    conv,
    distance,
    dropout,
    embedding,
    fold,
    grid,
    linear,
    loss,
    loss_likelihood,
    loss_margin,
    norm,
    pad,
    pool,
    resize,
    shuffle,
    softmax,
)
ELEMENTWISE = activation.ELEMENTWISE
CASES: list[Case] = [case for family in FAMILIES for case in family.CASES]
ERRORS = [error for family in FAMILIES for error in family.ERRORS]
