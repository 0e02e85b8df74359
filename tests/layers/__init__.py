"""One table of layers of `fnlearn.nn`; every test over layers asks its question of each line."""

from tests.layers import activation, linear
from tests.layers.table import LayerCase

FAMILIES = (activation, linear)
LAYERS: list[LayerCase] = [case for family in FAMILIES for case in family.LAYERS]
