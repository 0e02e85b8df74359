"""Padding layers."""

from tests.cases.table import R
from tests.layers.table import layer

X = {1: R(2, 3, 5), 2: R(2, 3, 4, 5), 3: R(1, 2, 4, 3, 5)}
AMOUNTS = {1: (2, 1), 2: (2, 1, 0, 3), 3: (2, 1, 0, 2, 1, 3)}

LAYERS = [
    *(
        layer(f"{kind}Pad{n}d", 2, inputs=(X[n],))
        for kind in ("Reflection", "Replication", "Circular", "Zero")
        for n in X
    ),
    *(layer(f"{kind}Pad{n}d", AMOUNTS[n], inputs=(X[n],)) for kind in ("Reflection", "Circular", "Zero") for n in X),
    *(layer(f"ConstantPad{n}d", AMOUNTS[n], 1.5, inputs=(X[n],)) for n in X),
]
