"""Packed sequences: while a model is recorded they stay padded, with their lengths beside them.

How many numbers a packed sequence has is known only when its lengths are, so it has no place in a traced program.
`fnlearn.functional`'s recurrent networks take the padded one and the lengths instead.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch.nn.utils import rnn
from torch.utils._pytree import tree_leaves

from fnlearn.port.errors import PortError

__all__ = ["Padded", "call", "kept_padded", "refuse"]


PLACE: ContextVar[Callable[[], str]] = ContextVar("where the model is that is recorded")


def _refused(why: str) -> PortError:
    return PortError(f"{PLACE.get()()}: {why}")


class Padded(rnn.PackedSequence):
    """What stands for a packed sequence: the padded one, its lengths, whether the batch comes first, and `clean`.

    clean: whether zeros stand behind the ends.
    """

    def __new__(cls, padded: torch.Tensor, lengths: torch.Tensor, batch_first: bool, clean: bool) -> "Padded":
        """A sequence that was packed."""
        return tuple.__new__(cls, (padded, lengths, batch_first, clean))

    def _inside(self) -> Any:
        raise _refused(
            "the numbers inside a packed sequence are not ported, since how many there are depends on the lengths; "
            "compute with what pad_packed_sequence returns, and mask what is behind the ends"
        )

    data = batch_sizes = sorted_indices = unsorted_indices = property(_inside)


def parts(sequence: Padded) -> tuple[Any, Any, bool, bool]:
    """What it was made of; its type promises other things than it holds."""
    padded, lengths, batch_first, clean = tuple[Any, ...](sequence)
    return padded, lengths, batch_first, clean


def pack(input: torch.Tensor, lengths: Any, batch_first: bool) -> Padded:
    """In the place of `pack_padded_sequence`; the order need not be that of the lengths."""
    lengths = lengths if isinstance(lengths, torch.Tensor) else torch.as_tensor(lengths)
    return Padded(input, lengths, batch_first, clean=False)


def pad(
    sequence: Any, batch_first: bool, padding_value: float, total_length: int | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """In the place of `pad_packed_sequence`; it stays as long as it was, or becomes as long as `total_length`."""
    if not isinstance(sequence, Padded):
        raise _refused("a packed sequence comes from outside of the model; pass the padded one, and its lengths")
    padded, lengths, first, clean = parts(sequence)
    padded = padded if first == batch_first else padded.transpose(0, 1)
    time = 1 if batch_first else 0
    given = padded.shape[time]
    if total_length is not None and total_length != given:
        if total_length < given:
            raise _refused(f"total_length={total_length} is less than the padded length; pass at least that")
        behind = [total_length - given if i == time else size for i, size in enumerate(padded.shape)]
        padded = torch.cat([padded, padded.new_full(behind, padding_value)], time)
    if clean and padding_value == 0:
        return padded, lengths
    steps = torch.arange(padded.shape[time])
    mask = steps[None] < lengths[:, None] if batch_first else steps[:, None] < lengths[None]
    return torch.where(mask[(..., *[None] * (padded.ndim - 2))], padded, padding_value), lengths


def refuse(structure: Any, what: str) -> None:
    """An error for packed sequences where a model has its inputs and outputs."""
    if any(_packed(leaf) for leaf in tree_leaves(structure, is_leaf=_packed)):
        raise PortError(f"{what} a packed sequence; use the padded one and its lengths, and pack and pad in the model")


def _packed(leaf: Any) -> bool:
    return isinstance(leaf, rnn.PackedSequence)


def call(recorder: Any, original: Callable[..., Any], module: Any, args: Any, kwargs: Any) -> Any:
    """A recurrent network's call on a packed sequence, as one on the padded one and the lengths."""
    padded, recorder.lengths, first, _ = parts(args[0])
    own, module.batch_first = module.batch_first, first
    out, state = original(module, padded, *args[1:], **kwargs)
    packed = Padded(out, recorder.lengths, first, clean=True)
    module.batch_first, recorder.lengths = own, None
    return packed, state


def _pack_padded_sequence(input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> Any:
    from fnlearn.port import packed

    return packed.pack(input, lengths, batch_first)


def _pad_packed_sequence(
    sequence: Any, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> Any:
    from fnlearn.port import packed

    return packed.pad(sequence, batch_first, padding_value, total_length)


@contextmanager
def kept_padded(place: Callable[[], str]) -> Iterator[None]:
    """Torch's two functions do as said above, however a model's source has imported them: their code is another."""
    pairs: tuple[tuple[Any, Any], ...] = (
        (rnn.pack_padded_sequence, _pack_padded_sequence),
        (rnn.pad_packed_sequence, _pad_packed_sequence),
    )
    codes = [theirs.__code__ for theirs, _ in pairs]
    for theirs, ours in pairs:
        theirs.__code__ = ours.__code__
    token = PLACE.set(place)
    try:
        yield
    finally:
        PLACE.reset(token)
        for (theirs, _), code in zip(pairs, codes, strict=True):
            theirs.__code__ = code
