"""Losses as layers; their reductions and weights are the functions', and tested there."""

import numpy as np
import torch

from tests.cases.loss import DIST, IGNORED, LOGP
from tests.cases.loss_likelihood import COUNTS, LABELS, log_p
from tests.cases.loss_margin import GRID, LISTED, SIGNS
from tests.cases.table import C, P, R
from tests.layers.table import layer

X, Y, Z = R(5, 3), R(5, 3, seed=1), R(5, 3, seed=2)
WEIGHT = torch.tensor([0.5, 1.0, 2.0])

LAYERS = [
    layer("L1Loss", inputs=(X, Y)),
    layer("MSELoss", reduction="sum", inputs=(X, Y)),
    layer("SmoothL1Loss", beta=0.5, inputs=(X, Y)),
    layer("HuberLoss", "sum", 0.5, inputs=(X, Y)),
    layer("BCELoss", inputs=(P(5, 3), P(5, 3, seed=2))),
    layer("BCELoss", WEIGHT, reduction="sum", inputs=(P(5, 3), P(5, 3, seed=2))),
    layer("BCEWithLogitsLoss", WEIGHT, pos_weight=WEIGHT + 1, inputs=(X, P(5, 3))),
    layer("NLLLoss", inputs=(LOGP, C(3, 5))),
    layer("NLLLoss", WEIGHT, ignore_index=1, inputs=(LOGP, C(3, 5))),
    layer("CrossEntropyLoss", WEIGHT, label_smoothing=0.1, inputs=(X, IGNORED)),
    layer("CrossEntropyLoss", reduction="none", inputs=(X, DIST)),
    layer("KLDivLoss", reduction="batchmean", log_target=True, inputs=(LOGP, np.log(DIST))),
    layer("PoissonNLLLoss", eps=1e-3, log_input=False, inputs=(P(3, 4), COUNTS)),
    layer("CTCLoss", 0, "sum", True, inputs=(log_p(8, 3, 4), LABELS, (8, 1, 5), (3, 2, 1))),
    layer("MarginRankingLoss", 0.5, inputs=(X, Y, GRID)),
    layer("HingeEmbeddingLoss", 0.5, inputs=(X, GRID)),
    layer("CosineEmbeddingLoss", 0.2, inputs=(X, Y, SIGNS)),
    layer("SoftMarginLoss", reduction="sum", inputs=(X, GRID)),
    layer("MultiLabelSoftMarginLoss", WEIGHT, inputs=(X, P(5, 3))),
    layer("MultiLabelMarginLoss", inputs=(X, LISTED)),
    layer("MultiMarginLoss", 2, 0.5, WEIGHT, inputs=(X, C(3, 5))),
    layer("TripletMarginLoss", 2.0, 1.0, swap=True, inputs=(X, Y, Z)),
    layer("GaussianNLLLoss", full=True, inputs=(X, Y, P(5, 3))),
    layer("TripletMarginWithDistanceLoss", margin=2.0, swap=True, inputs=(X, Y, Z)),
    layer("LinearCrossEntropyLoss", 3, 4, bias=True, inputs=(X, C(4, 5))),
    layer("LinearCrossEntropyLoss", 3, 4, out_features=(2,), weight=torch.arange(4.0), inputs=(X, C(4, 5, 2))),
    layer("AdaptiveLogSoftmaxWithLoss", 8, 10, [3, 6], 2.0, True, inputs=(R(7, 8), np.array([0, 2, 3, 5, 6, 9, 1]))),
]
