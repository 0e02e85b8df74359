"""Recurrent layers and cells."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnlearn import functional as F
from fnlearn import random
from fnlearn.functional.typing import ArrayLike, DTypeLike
from fnlearn.nn import init as initial
from fnlearn.nn.layer import Layer, Tree

Shapes = dict[str, tuple[int, ...]]


def RNN(
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    nonlinearity: str = "tanh",
    bias: bool = True,
    batch_first: bool = False,
    dropout: float = 0.0,
    bidirectional: bool = False,
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Elman's network over a sequence: applied to (input, hx) it gives (output, h).

    Torch: `torch.nn.RNN`.
    Shape: input (L, N, in), (N, L, in) when batch_first, or (L, in); hx (layers · directions, N, hidden), 0 when left
        out → output (L, N, directions · hidden), h; parameters weight_ih_l0 (hidden, in), weight_hh_l0 (hidden,
        hidden), bias_ih_l0, bias_hh_l0 (hidden), …_reverse, and so on by layer.
    Args: input_size, hidden_size: of a step. num_layers: how many. nonlinearity: "tanh" or "relu". bias: whether there
        are biases. batch_first, dropout, bidirectional: as for `fnlearn.functional.lstm`. device: None; JAX places
        arrays. dtype: of the parameters, float32 when left out. Applied, it also takes `lengths`.
    Raises: ValueError when an option is out of range, and, when applied, as `fnlearn.functional.rnn_tanh`.
    Differs: as `fnlearn.functional.lstm`; the initial numbers, U(−1/√hidden, 1/√hidden), come from a JAX key.
    Source: `torch.nn.RNN`.
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
    run = F.rnn_tanh if nonlinearity == "tanh" else F.rnn_relu
    return _recurrent(run, 1, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, dtype)


def LSTM(
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    bias: bool = True,
    batch_first: bool = False,
    dropout: float = 0.0,
    bidirectional: bool = False,
    proj_size: int = 0,
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Long short-term memory over a sequence: applied to (input, (h, c)) it gives (output, (h, c)).

    Torch: `torch.nn.LSTM`.
    Shape: as `RNN`, with 4 · hidden rows in weights and biases; with proj_size, outputs and h have that size, and
        there are weight_hr_l0 (proj_size, hidden), and so on.
    Args: input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as for `RNN`.
        proj_size: the size that h is projected to; 0 for none.
    Raises: ValueError when an option is out of range, and, when applied, as `fnlearn.functional.lstm`.
    Differs: as `RNN`.
    Source: `torch.nn.LSTM`.
    """
    return _recurrent(
        F.lstm, 4, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, dtype
    )


def GRU(
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    bias: bool = True,
    batch_first: bool = False,
    dropout: float = 0.0,
    bidirectional: bool = False,
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Gated recurrent units over a sequence: applied to (input, hx) it gives (output, h).

    Torch: `torch.nn.GRU`.
    Shape: as `RNN`, with 3 · hidden rows in weights and biases.
    Args: input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as for `RNN`.
    Raises: ValueError when an option is out of range, and, when applied, as `fnlearn.functional.gru`.
    Differs: as `RNN`.
    Source: `torch.nn.GRU`.
    """
    return _recurrent(
        F.gru, 3, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, dtype
    )


def _recurrent(
    run: Callable[..., Any],
    gates: int,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    bias: bool,
    batch_first: bool,
    dropout: float,
    bidirectional: bool,
    proj_size: int,
    dtype: DTypeLike | None,
) -> Layer:
    if input_size < 0 or hidden_size < 1 or num_layers < 1:
        raise ValueError(
            f"hidden_size and num_layers must be positive and input_size not negative, got {hidden_size}, "
            f"{num_layers}, {input_size}"
        )
    if isinstance(dropout, bool) or not 0 <= dropout <= 1:
        raise ValueError(f"dropout must be between 0 and 1, got {dropout}")
    if not 0 <= proj_size < hidden_size:
        raise ValueError(f"proj_size must be at least 0 and below hidden_size {hidden_size}, got {proj_size}")
    shapes = _shapes(gates, input_size, hidden_size, num_layers, bias, bidirectional, proj_size)

    def apply(
        params: Tree,
        buffers: Tree,
        input: ArrayLike,
        hx: Any = None,
        *,
        lengths: ArrayLike | None = None,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> tuple[Any, Tree]:
        x = jnp.asarray(input)
        if x.ndim not in (2, 3):
            raise ValueError(f"input must have 2 dimensions, or 3 with a batch, got {x.shape}")
        single, axis = x.ndim == 2, 0 if batch_first else 1
        x = jnp.expand_dims(x, axis) if single else x
        weights = [params[name] for name in shapes]
        options = (bias, num_layers, dropout, train, bidirectional, batch_first)
        output, *final = run(x, _state(hx, run is F.lstm, single), weights, *options, lengths=lengths, key=key)
        if single:
            output, final = output.squeeze(axis), [h.squeeze(1) for h in final]
        return (output, tuple(final) if run is F.lstm else final[0]), buffers

    return Layer(_initial(shapes, hidden_size, dtype), apply)


def _state(hx: Any, pair: bool, single: bool) -> Any:
    """The initial state with its batch, two arrays or one; None when it is left out."""
    if hx is None:
        return None
    state = [jnp.asarray(h) for h in (hx if pair else (hx,))]
    for h in state:
        if h.ndim != (2 if single else 3):
            raise ValueError(f"hx must have {2 if single else 3} dimensions as the input has, got shape {h.shape}")
    batched = [h[:, None] if single else h for h in state]
    return batched if pair else batched[0]


def _shapes(
    gates: int, input_size: int, hidden_size: int, num_layers: int, bias: bool, bidirectional: bool, proj_size: int
) -> Shapes:
    """Every parameter's shape by its name, in torch's order."""
    out, rows = proj_size or hidden_size, gates * hidden_size
    shapes: Shapes = {}
    for layer in range(num_layers):
        width = input_size if layer == 0 else out * (1 + bidirectional)
        for suffix in (f"_l{layer}", f"_l{layer}_reverse")[: 1 + bidirectional]:
            shapes |= {f"weight_ih{suffix}": (rows, width), f"weight_hh{suffix}": (rows, out)}
            shapes |= {f"bias_ih{suffix}": (rows,), f"bias_hh{suffix}": (rows,)} if bias else {}
            shapes |= {f"weight_hr{suffix}": (proj_size, hidden_size)} if proj_size else {}
    return shapes


def _initial(shapes: Shapes, hidden_size: int, dtype: DTypeLike | None) -> Callable[[jax.Array], tuple[Tree, Tree]]:
    bound = 1 / math.sqrt(hidden_size) if hidden_size else 0.0

    def init(key: jax.Array) -> tuple[Tree, Tree]:
        draw = lambda name: initial.uniform(random.named(key, name), shapes[name], -bound, bound, dtype=dtype)  # noqa: E731
        return {name: draw(name) for name in shapes}, {}

    return init


def RNNCell(
    input_size: int,
    hidden_size: int,
    bias: bool = True,
    nonlinearity: str = "tanh",
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """One step of Elman's network: applied to (input, hx) it gives the new h.

    Torch: `torch.nn.RNNCell`.
    Shape: input (N, in) or (in), hx (N, hidden) or (hidden), 0 when left out → h; parameters weight_ih (hidden, in),
        weight_hh (hidden, hidden), bias_ih, bias_hh (hidden).
    Args: input_size, hidden_size: of the step. bias: whether there are biases. nonlinearity: "tanh" or "relu". device:
        None; JAX places arrays. dtype: of the parameters, float32 when left out.
    Raises: ValueError when nonlinearity is another, and, when applied, as `fnlearn.functional.rnn_tanh_cell`.
    Differs: the initial numbers, U(−1/√hidden, 1/√hidden), come from a JAX key.
    Source: `torch.nn.RNNCell`.
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
    run = F.rnn_tanh_cell if nonlinearity == "tanh" else F.rnn_relu_cell
    return _single(run, 1, input_size, hidden_size, bias, dtype)


def LSTMCell(
    input_size: int, hidden_size: int, bias: bool = True, device: None = None, dtype: DTypeLike | None = None
) -> Layer:
    """One step of long short-term memory: applied to (input, (h, c)) it gives the new (h, c).

    Torch: `torch.nn.LSTMCell`.
    Shape: as `RNNCell`, with 4 · hidden rows in weights and biases.
    Args: input_size, hidden_size, bias, device, dtype: as for `RNNCell`.
    Raises: as `fnlearn.functional.lstm_cell`, when applied.
    Differs: as `RNNCell`.
    Source: `torch.nn.LSTMCell`.
    """
    return _single(F.lstm_cell, 4, input_size, hidden_size, bias, dtype)


def GRUCell(
    input_size: int, hidden_size: int, bias: bool = True, device: None = None, dtype: DTypeLike | None = None
) -> Layer:
    """One step of gated recurrent units: applied to (input, hx) it gives the new h.

    Torch: `torch.nn.GRUCell`.
    Shape: as `RNNCell`, with 3 · hidden rows in weights and biases.
    Args: input_size, hidden_size, bias, device, dtype: as for `RNNCell`.
    Raises: as `fnlearn.functional.gru_cell`, when applied.
    Differs: as `RNNCell`.
    Source: `torch.nn.GRUCell`.
    """
    return _single(F.gru_cell, 3, input_size, hidden_size, bias, dtype)


def _single(
    run: Callable[..., Any], gates: int, input_size: int, hidden_size: int, bias: bool, dtype: DTypeLike | None
) -> Layer:
    rows = gates * hidden_size
    shapes: Shapes = {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size)}
    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}

    def apply(
        params: Tree,
        buffers: Tree,
        input: ArrayLike,
        hx: Any = None,
        *,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> tuple[Any, Tree]:
        x = jnp.asarray(input)
        if hx is None:
            h = jnp.zeros((*x.shape[:-1], hidden_size), x.dtype)
            hx = (h, h) if run is F.lstm_cell else h
        return run(x, hx, *[params[name] for name in shapes]), buffers

    return Layer(_initial(shapes, hidden_size, dtype), apply)
