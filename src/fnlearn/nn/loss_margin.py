"""Losses with a margin as layers."""

from collections.abc import Callable
from typing import Any

from fnlearn import functional as F
from fnlearn.functional.reduction import effective
from fnlearn.functional.typing import ArrayLike
from fnlearn.nn.layer import Layer
from fnlearn.nn.loss import criterion


def MarginRankingLoss(
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Layer:
    """Hinge of a pair in the wrong order.

    Torch: `torch.nn.MarginRankingLoss`.
    Shape: input1, input2 and target (*) → () or, unreduced, (*).
    Args: as for `fnlearn.functional.margin_ranking_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.margin_ranking_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.margin_ranking_loss`.
    """
    return criterion(F.margin_ranking_loss, margin=margin, reduction=effective(size_average, reduce, reduction))


def HingeEmbeddingLoss(
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Layer:
    """A distance of what is alike, and its hinge of what is different.

    Torch: `torch.nn.HingeEmbeddingLoss`.
    Shape: input and target (*) → () or, unreduced, (*).
    Args: as for `fnlearn.functional.hinge_embedding_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.hinge_embedding_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.hinge_embedding_loss`.
    """
    return criterion(F.hinge_embedding_loss, margin=margin, reduction=effective(size_average, reduce, reduction))


def CosineEmbeddingLoss(
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Layer:
    """1 − cosine of what is alike, and the hinge of the cosine of what is different.

    Torch: `torch.nn.CosineEmbeddingLoss`.
    Shape: input1 and input2 (N, D) or (D), target (N) or () → () or, unreduced, target's.
    Args: as for `fnlearn.functional.cosine_embedding_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.cosine_embedding_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.cosine_embedding_loss`.
    """
    return criterion(F.cosine_embedding_loss, margin=margin, reduction=effective(size_average, reduce, reduction))


def SoftMarginLoss(
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Layer:
    """Logistic loss of a sign.

    Torch: `torch.nn.SoftMarginLoss`.
    Shape: input and target (*) → () or, unreduced, (*).
    Args: as for `fnlearn.functional.soft_margin_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.soft_margin_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.soft_margin_loss`.
    """
    return criterion(F.soft_margin_loss, reduction=effective(size_average, reduce, reduction))


def MultiLabelSoftMarginLoss(
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Layer:
    """Binary cross-entropy of logits, averaged over the classes.

    Torch: `torch.nn.MultiLabelSoftMarginLoss`.
    Shape: input and target (*, C) → () or, unreduced, (*); buffer weight (C), when given.
    Args: as for `fnlearn.functional.multilabel_soft_margin_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.multilabel_soft_margin_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.multilabel_soft_margin_loss`.
    """
    return criterion(
        F.multilabel_soft_margin_loss,
        {"weight": weight},
        reduction=effective(size_average, reduce, reduction),
    )


def MultiLabelMarginLoss(
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Layer:
    """Hinges of all absent classes against each present one.

    Torch: `torch.nn.MultiLabelMarginLoss`.
    Shape: input and target (C) or (N, C) → () or, unreduced, () or (N).
    Args: as for `fnlearn.functional.multilabel_margin_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.multilabel_margin_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.multilabel_margin_loss`.
    """
    return criterion(F.multilabel_margin_loss, reduction=effective(size_average, reduce, reduction))


def MultiMarginLoss(
    p: int = 1,
    margin: float = 1.0,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Layer:
    """Hinges of all wrong classes against the right one.

    Torch: `torch.nn.MultiMarginLoss`.
    Shape: input (C) or (N, C), target () or (N) → () or, unreduced, target's; buffer weight (C), when given.
    Args: as for `fnlearn.functional.multi_margin_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.multi_margin_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.multi_margin_loss`.
    """
    return criterion(
        F.multi_margin_loss,
        {"weight": weight},
        p=p,
        margin=margin,
        reduction=effective(size_average, reduce, reduction),
    )


def TripletMarginLoss(
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Layer:
    """Hinge of an anchor's distances to a positive and a negative.

    Torch: `torch.nn.TripletMarginLoss`.
    Shape: anchor, positive and negative (*, D) → () or, unreduced, (*).
    Args: as for `fnlearn.functional.triplet_margin_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.triplet_margin_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.triplet_margin_loss`.
    """
    return criterion(
        F.triplet_margin_loss,
        margin=margin,
        p=p,
        eps=eps,
        swap=swap,
        reduction=effective(size_average, reduce, reduction),
    )


def TripletMarginWithDistanceLoss(
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Layer:
    """Hinge of an anchor's distances to a positive and a negative, with a distance of one's own.

    Torch: `torch.nn.TripletMarginWithDistanceLoss`.
    Shape: anchor, positive and negative (*, D) → () or, unreduced, what the distance gives.
    Args: as for `fnlearn.functional.triplet_margin_with_distance_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as
        `fnlearn.functional.triplet_margin_with_distance_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.triplet_margin_with_distance_loss`.
    """
    return criterion(
        F.triplet_margin_with_distance_loss,
        distance_function=distance_function,
        margin=margin,
        swap=swap,
        reduction=reduction,
    )
