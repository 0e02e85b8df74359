"""The order of torch's samplers and loaders, and where the stream stands afterwards."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from fnlearn import random

EPOCHS = 3


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("n", "batch"), [(1, 1), (10, 3), (64, 8), (1000, 7)])
def test_a_loaders_epochs(n, batch, shuffle, own):
    torch.manual_seed(5)
    used = torch.Generator().manual_seed(6) if own else torch.default_generator
    rows = TensorDataset(torch.arange(n))
    loader = DataLoader(rows, batch_size=batch, shuffle=shuffle, generator=used if own else None)
    generator = random.TorchGenerator(6 if own else 5)
    for _ in range(EPOCHS):
        expected = np.concatenate([batch.numpy() for (batch,) in loader])
        assert np.array_equal(random.dataloader_order(generator, n, shuffle, own=own), expected)
        assert np.array_equal(generator.get_state(), used.get_state().numpy())


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    "options",
    [{}, {"num_samples": 7}, {"num_samples": 25}, {"replacement": True}, {"replacement": True, "num_samples": 70}],
)
def test_a_samplers_passes(options, own):
    torch.manual_seed(5)
    used = torch.Generator().manual_seed(6) if own else torch.default_generator
    sampler = RandomSampler(range(10), generator=used if own else None, **options)
    generator = random.TorchGenerator(6 if own else 5)
    for _ in range(EPOCHS):
        assert random.sampler_order(generator, 10, own=own, **options).tolist() == list(sampler)
        assert np.array_equal(generator.get_state(), used.get_state().numpy())


@pytest.mark.parametrize(("n", "samples"), [(0, None), (3, 0), (3, -1)])
def test_nothing_to_sample_is_refused(n, samples):
    with pytest.raises(ValueError, match="n and num_samples must be positive"):
        random.sampler_order(random.TorchGenerator(0), n, num_samples=samples)
