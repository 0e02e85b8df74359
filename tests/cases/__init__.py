"""One table of calls to `fnlearn.functional`; every test over functions asks its question of each line."""

from tests.cases import activation, linear, loss, softmax
from tests.cases.table import Case

FAMILIES = (activation, linear, loss, softmax)
ELEMENTWISE = activation.ELEMENTWISE
CASES: list[Case] = [case for family in FAMILIES for case in family.CASES]
ERRORS = [error for family in FAMILIES for error in family.ERRORS]
