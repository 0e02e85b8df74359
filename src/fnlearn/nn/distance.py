"""Layers of distances and similarities."""

from fnlearn import functional as F
from fnlearn.nn.layer import Layer, stateless


def CosineSimilarity(dim: int = 1, eps: float = 1e-8) -> Layer:
    """Cosine of the angle between two inputs' vectors.

    Torch: `torch.nn.CosineSimilarity`.
    Shape: two of (*₁, D, *₂) → (*₁, *₂).
    Args: as for `fnlearn.functional.cosine_similarity`.
    Raises: as `fnlearn.functional.cosine_similarity`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.cosine_similarity`.
    """
    return stateless(F.cosine_similarity, dim=dim, eps=eps)


def PairwiseDistance(p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Layer:
    """Distance between two inputs' vectors by the p-norm.

    Torch: `torch.nn.PairwiseDistance`.
    Shape: two of (*, D) → (*), or (*, 1) with keepdim.
    Args: as for `fnlearn.functional.pairwise_distance`.
    Raises: as `fnlearn.functional.pairwise_distance`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pairwise_distance`.
    """
    return stateless(F.pairwise_distance, p=p, eps=eps, keepdim=keepdim)
