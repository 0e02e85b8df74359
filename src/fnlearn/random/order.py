"""The order in which torch's samplers and loaders hand out the rows of a data set."""

import numpy as np

from fnlearn.random.generator import TorchGenerator


def dataloader_order(
    generator: TorchGenerator,
    n: int,
    shuffle: bool = True,
    *,
    replacement: bool = False,
    num_samples: int | None = None,
    own: bool = False,
) -> np.ndarray:
    """The rows of one epoch of a loader without workers, and the stream advanced by what torch draws for it.

    A loader draws a base seed whenever an epoch begins, even one that keeps the rows in order.

    Torch: `torch.utils.data.DataLoader`.
    Shape: (num_samples,) of int64.
    Args: generator: torch's global stream, or with `own` the loader's. n: rows of the data set. shuffle: as the
        loader's; False gives 0 … n − 1. replacement, num_samples: as for `sampler_order`. own: whether the loader was
        given a generator, as in `DataLoader(data, shuffle=True, generator=generator)`, and draws from that alone.
    Raises: as `sampler_order`.
    Differs: it gives the epoch's whole order, and no batches: `order.reshape(-1, batch_size)` are those.
    Source: `torch.utils.data.dataloader._BaseDataLoaderIter`.
    """
    generator.random()  # the base seed
    if not shuffle:
        return np.arange(n)
    return sampler_order(generator, n, replacement=replacement, num_samples=num_samples, own=own)


def sampler_order(
    generator: TorchGenerator, n: int, *, replacement: bool = False, num_samples: int | None = None, own: bool = False
) -> np.ndarray:
    """The rows that a random sampler gives in one pass, and the stream advanced by what torch draws for it.

    Torch: `torch.utils.data.RandomSampler`.
    Shape: (num_samples,) of int64.
    Args: generator: torch's global stream, or with `own` the sampler's. n: rows of the data set. replacement: whether a
        row may come twice. num_samples: how many, n when left out. own: whether the sampler was given a generator; if
        not, it takes a seed from the global stream and draws from that seed's.
    Raises: ValueError when there are no rows or no samples.
    Differs: it is drawn at once, where torch draws with the first row that is asked for.
    Source: `torch.utils.data.RandomSampler`.
    """
    count = n if num_samples is None else num_samples
    if n < 1 or count < 1:
        raise ValueError(f"n and num_samples must be positive, got n={n} and num_samples={num_samples}")
    source = generator if own else TorchGenerator(int(generator.random()))
    if replacement:
        return source.randint(0, n, (count,))  # torch draws 32 at a time, which is the same
    passes = [source.randperm(n) for _ in range(count // n + 1)]  # the last one also where nothing of it is used
    return np.concatenate(passes)[:count]
