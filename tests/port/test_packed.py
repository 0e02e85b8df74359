"""Packed sequences: a port keeps them padded, and gives their lengths to its recurrent networks."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from fnlearn import equivalence, port

LENGTHS = torch.tensor([3, 6, 1, 4])


class Reader(nn.Module):
    """A recurrent network of any kind, in any order of dimensions, that returns what it packed."""

    def __init__(self, network, enforce_sorted):
        super().__init__()
        self.network, self.enforce_sorted = network, enforce_sorted

    def forward(self, words, lengths):
        first = self.network.batch_first
        packed = pack_padded_sequence(words, lengths, batch_first=first, enforce_sorted=self.enforce_sorted)
        return self.network(packed)


class Tagger(nn.Module):
    """Reads to each one's end; what is behind it is `fill`."""

    def __init__(self, kind, batch_first, fill=0.0, total=None, enforce_sorted=False, **options):
        super().__init__()
        self.embed = nn.Embedding(12, 4)
        self.reader = Reader(getattr(nn, kind)(4, 3, batch_first=batch_first, **options), enforce_sorted)
        self.fill, self.total = fill, total

    def forward(self, words, lengths):
        packed, state = self.reader(self.embed(words), lengths)
        out, lengths = pad_packed_sequence(packed, self.reader.network.batch_first, self.fill, self.total)
        return out, state, lengths


class Turned(nn.Module):
    """Packed with the time first, padded with the batch first; what is packed is padded again as it is, too."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(4, 3)
        self.state = nn.Parameter(torch.randn(1, 4, 3))

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        out, _ = self.gru(packed, self.state)
        return pad_packed_sequence(out, batch_first=True)[0], pad_packed_sequence(packed, padding_value=-1.0)[0]


def words(batch_first):
    torch.manual_seed(0)
    return torch.randint(0, 12, (4, 6) if batch_first else (6, 4))


CASES = {
    "lstm": (Tagger("LSTM", True, bidirectional=True, num_layers=2), (words(True), LENGTHS)),
    "lstm, projected, time first": (Tagger("LSTM", False, proj_size=2), (words(False), LENGTHS)),
    "gru, filled": (Tagger("GRU", True, fill=-2.5, bidirectional=True), (words(True), LENGTHS)),
    "rnn, longer": (Tagger("RNN", True, total=9), (words(True), LENGTHS)),
    "rnn, longer, filled, time first": (Tagger("RNN", False, fill=1.0, total=8), (words(False), LENGTHS)),
    "sorted": (Tagger("LSTM", True, enforce_sorted=True), (words(True), LENGTHS.sort(descending=True).values)),
    "turned": (Turned(), (torch.randn(6, 4, 4), LENGTHS)),
}


@pytest.mark.parametrize("name", CASES)
def test_as_in_torch(name):
    module, inputs = CASES[name]
    made = port.convert(module, inputs)
    both = equivalence.pair(module, made.apply, made.params, made.buffers)
    for question in (equivalence.forward, equivalence.backward):
        answer = question(both, inputs)
        assert answer.ok, answer


def test_lengths_are_an_input():
    """Those of the example are not in the source."""
    module, (indices, _) = CASES["lstm"]
    made = port.convert(module, (indices, LENGTHS))
    both = equivalence.pair(module, made.apply, made.params, made.buffers)
    answer = equivalence.forward(both, (indices, torch.tensor([6, 2, 2, 5])))
    assert answer.ok, answer
    assert "batch_first=True, lengths=lengths" in " ".join(made.source.split())


def test_other_sizes():
    module, inputs = CASES["rnn, longer"]
    made = port.convert(module, inputs)
    answer = equivalence.forward(
        equivalence.pair(module, made.apply, made.params, made.buffers),
        (torch.randint(0, 12, (5, 7)), torch.tensor([7, 2, 4, 5, 1])),
    )
    assert answer.ok, answer


def test_known_lengths_are_constants():
    class Known(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(4, 3)

        def forward(self, x):
            return pad_packed_sequence(self.gru(pack_padded_sequence(x, [5, 2]))[0])[0]

    module, x = Known(), torch.randn(5, 2, 4)
    made = port.convert(module, (x,))
    answer = equivalence.forward(equivalence.pair(module, made.apply, made.params, made.buffers), (x,))
    assert answer.ok, answer


class Inside(Turned):
    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return packed.data.sum()


class Shorter(Turned):
    def forward(self, x, lengths):
        return pad_packed_sequence(pack_padded_sequence(x, lengths, enforce_sorted=False), total_length=5)[0]


class Returned(Turned):
    def forward(self, x, lengths):
        return self.gru(pack_padded_sequence(x, lengths, enforce_sorted=False), self.state)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Inside, r"test_packed\.py:\d+, in the model itself \(Inside\): the numbers inside a packed sequence"),
        (Shorter, r"\(Shorter\): total_length=5 is less than the padded length"),
        (Returned, "the model returns a packed sequence; use the padded one"),
    ],
)
def test_what_is_refused(kind, message):
    with pytest.raises(port.PortError, match=message):
        port.convert(kind(), (torch.randn(6, 4, 4), torch.tensor([6, 2, 2, 1])))


def test_packed_inputs_are_refused():
    packed = pack_padded_sequence(torch.randn(6, 2, 4), [6, 3])
    with pytest.raises(port.PortError, match="an input is a packed sequence"):
        port.convert(nn.GRU(4, 3), (packed,))
    assert isinstance(packed, PackedSequence)
    assert packed.data.shape == (9, 4)  # torch packs as before
