"""Transformers: layers of attention and of two linear maps, with residual connections and normalisation."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnlearn import functional as F
from fnlearn import random, tree
from fnlearn.functional.typing import DTypeLike
from fnlearn.nn import init as initial
from fnlearn.nn.attention import MultiheadAttention
from fnlearn.nn.container import compose
from fnlearn.nn.dropout import Dropout
from fnlearn.nn.layer import Layer, Tree
from fnlearn.nn.linear import Linear
from fnlearn.nn.norm import LayerNorm

Activation = str | Callable[[Any], Any]


def TransformerEncoderLayer(
    d_model: int,
    nhead: int,
    dim_feedforward: int = 2048,
    dropout: float = 0.1,
    activation: Activation = F.relu,
    layer_norm_eps: float = 1e-5,
    batch_first: bool = False,
    norm_first: bool = False,
    bias: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Attention to oneself, and two linear maps with an activation between them.

    Torch: `torch.nn.TransformerEncoderLayer`.
    Shape: src (S, E), (S, N, E) or, batch_first, (N, S, E) → the same; parameters of self_attn, linear1, linear2, norm1
        and norm2.
    Args: d_model: E. nhead: a divisor of E. dim_feedforward: width between the linear maps. dropout: the share that is
        dropped in training. activation: "relu", "gelu" or a function; one of torch's own means that of the same name in
        `fnlearn.functional`. layer_norm_eps: as `LayerNorm`'s eps.
        batch_first: whether N comes first. norm_first: normalise before each part instead of after. bias: whether the
        linear maps, attention and norms have biases. device, dtype: as for `Linear`. When applied: src, src_mask,
        src_key_padding_mask and is_causal, as for `MultiheadAttention`.
    Raises: ValueError when sizes don't fit or the activation is unknown, and, when applied, as `MultiheadAttention`.
    Differs: a query whose keys are all ignored gives what torch gives in training, in evaluation too.
    Source: Vaswani et al.: Attention Is All You Need (2017).
    """
    act = _activation(activation)

    def forward(
        net: Any, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Any:
        padding, mask = _one_kind(src_key_padding_mask, src_mask, src)

        def attend(x: Any) -> Any:
            attended, _ = net.self_attn(x, x, x, padding, False, mask, is_causal=is_causal)
            return _dropped(net.dropout1, attended, batch_first)

        x = _residual(src, attend, net.norm1, norm_first)
        return _residual(x, lambda x: net.dropout2(_feed_forward(net, act, x)), net.norm2, norm_first)

    return compose(
        forward,
        self_attn=MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, device=device, dtype=dtype
        ),
        linear1=Linear(d_model, dim_feedforward, bias, device, dtype),
        dropout=Dropout(dropout),
        linear2=Linear(dim_feedforward, d_model, bias, device, dtype),
        norm1=LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype),
        norm2=LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype),
        dropout1=Dropout(dropout),
        dropout2=Dropout(dropout),
    )


def TransformerDecoderLayer(
    d_model: int,
    nhead: int,
    dim_feedforward: int = 2048,
    dropout: float = 0.1,
    activation: Activation = F.relu,
    layer_norm_eps: float = 1e-5,
    batch_first: bool = False,
    norm_first: bool = False,
    bias: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Attention to oneself, attention to a memory, and two linear maps with an activation between them.

    Torch: `torch.nn.TransformerDecoderLayer`.
    Shape: tgt (T, E), (T, N, E) or, batch_first, (N, T, E), memory alike with S → as tgt; parameters of self_attn,
        multihead_attn, linear1, linear2, norm1, norm2 and norm3.
    Args: as for `TransformerEncoderLayer`. When applied: tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask,
        memory_key_padding_mask, tgt_is_causal and memory_is_causal, as for `MultiheadAttention`.
    Raises: as `TransformerEncoderLayer`.
    Differs: nothing.
    Source: Vaswani et al.: Attention Is All You Need (2017).
    """
    act = _activation(activation)

    def forward(
        net: Any,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Any:
        def itself(x: Any) -> Any:
            given = (tgt_key_padding_mask, False, tgt_mask)
            attended, _ = net.self_attn(x, x, x, *given, is_causal=tgt_is_causal)
            return _dropped(net.dropout1, attended, batch_first)

        def remembered(x: Any) -> Any:
            given = (memory_key_padding_mask, False, memory_mask)
            attended, _ = net.multihead_attn(x, memory, memory, *given, is_causal=memory_is_causal)
            return _dropped(net.dropout2, attended, batch_first)

        x = _residual(tgt, itself, net.norm1, norm_first)
        x = _residual(x, remembered, net.norm2, norm_first)
        return _residual(x, lambda x: net.dropout3(_feed_forward(net, act, x)), net.norm3, norm_first)

    def attention() -> Layer:
        return MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, device=device, dtype=dtype)

    def norm() -> Layer:
        return LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)

    return compose(
        forward,
        self_attn=attention(),
        multihead_attn=attention(),
        linear1=Linear(d_model, dim_feedforward, bias, device, dtype),
        dropout=Dropout(dropout),
        linear2=Linear(dim_feedforward, d_model, bias, device, dtype),
        norm1=norm(),
        norm2=norm(),
        norm3=norm(),
        dropout1=Dropout(dropout),
        dropout2=Dropout(dropout),
        dropout3=Dropout(dropout),
    )


def TransformerEncoder(
    encoder_layer: Layer,
    num_layers: int,
    norm: Layer | None = None,
    enable_nested_tensor: bool = True,
    mask_check: bool = True,
) -> Layer:
    """Encoder layers, one after the other.

    Torch: `torch.nn.TransformerEncoder`.
    Shape: src as for `TransformerEncoderLayer` → the same; parameters of layers.0, layers.1, … and norm.
    Args: encoder_layer: a `Layer`, of which there will be num_layers, or a `torch.nn.TransformerEncoderLayer`, whose
        options are taken. norm: applied last. enable_nested_tensor,
        mask_check: accepted and without effect. When applied: src, mask, src_key_padding_mask and is_causal, as for
        `TransformerEncoderLayer`; is_causal=None is False.
    Raises: ValueError when num_layers is negative; TypeError when encoder_layer is no layer; else what it raises.
    Differs: from a JAX key every layer draws its own initial numbers, while torch's, and those from a `TorchGenerator`,
        are copies of one; a mask is not searched for being causal, which changes no value.
    Source: Vaswani et al.: Attention Is All You Need (2017).
    """

    def forward(
        net: Any, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool | None = None
    ) -> Any:
        padding, mask = _one_kind(src_key_padding_mask, mask, src)
        for layer in net.layers:
            src = layer(src, mask, padding, is_causal=bool(is_causal))
        return src if norm is None else net.norm(src)

    return _stacked(forward, _ours(TransformerEncoderLayer, encoder_layer), num_layers, norm)


def TransformerDecoder(decoder_layer: Layer, num_layers: int, norm: Layer | None = None) -> Layer:
    """Decoder layers, one after the other.

    Torch: `torch.nn.TransformerDecoder`.
    Shape: tgt and memory as for `TransformerDecoderLayer` → as tgt; parameters of layers.0, layers.1, … and norm.
    Args: decoder_layer: a `Layer`, of which there will be num_layers, or a `torch.nn.TransformerDecoderLayer`, whose
        options are taken. norm: applied last. When applied: as for `TransformerDecoderLayer`; tgt_is_causal=None is
        False.
    Raises: as `TransformerEncoder`.
    Differs: as `TransformerEncoder`.
    Source: Vaswani et al.: Attention Is All You Need (2017).
    """

    def forward(
        net: Any,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        for layer in net.layers:
            tgt = layer(tgt, memory, *masks, tgt_is_causal=bool(tgt_is_causal), memory_is_causal=memory_is_causal)
        return tgt if norm is None else net.norm(tgt)

    return _stacked(forward, _ours(TransformerDecoderLayer, decoder_layer), num_layers, norm)


def Transformer(
    d_model: int = 512,
    nhead: int = 8,
    num_encoder_layers: int = 6,
    num_decoder_layers: int = 6,
    dim_feedforward: int = 2048,
    dropout: float = 0.1,
    activation: Activation = F.relu,
    custom_encoder: Layer | None = None,
    custom_decoder: Layer | None = None,
    layer_norm_eps: float = 1e-5,
    batch_first: bool = False,
    norm_first: bool = False,
    bias: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """An encoder of a source, and a decoder of a target that attends to what the encoder made of it.

    Torch: `torch.nn.Transformer`.
    Shape: src (S, E), (S, N, E) or, batch_first, (N, S, E), tgt alike with T → as tgt; parameters of
        encoder and decoder.
    Args: num_encoder_layers, num_decoder_layers: how many. custom_encoder, custom_decoder: layers that take the places
        of the built ones. The others: as for `TransformerEncoderLayer`. When applied: src, tgt, src_mask, tgt_mask,
        memory_mask, src_key_padding_mask, tgt_key_padding_mask, memory_key_padding_mask, src_is_causal, tgt_is_causal
        and memory_is_causal. `Transformer.generate_square_subsequent_mask(sz)` makes a causal mask.
    Raises: ValueError when src and tgt don't fit each other or d_model; else as `TransformerEncoder`.
    Differs: as `TransformerEncoder`; the initial numbers come from a JAX key, their distributions are torch's.
    Source: Vaswani et al.: Attention Is All You Need (2017).
    """
    sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
    norm = LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)
    encoder = custom_encoder or TransformerEncoder(
        TransformerEncoderLayer(*sizes, device, dtype), num_encoder_layers, norm
    )
    decoder = custom_decoder or TransformerDecoder(
        TransformerDecoderLayer(*sizes, device, dtype), num_decoder_layers, norm
    )

    def forward(
        net: Any,
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:
        _check_fit(jnp.shape(src), jnp.shape(tgt), d_model, batch_first)
        memory = net.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        return net.decoder(tgt, memory, *masks, tgt_is_causal, memory_is_causal)

    both = compose(forward, encoder=encoder, decoder=decoder)

    def init(key: jax.Array) -> tuple[Tree, Tree]:
        """Every matrix from Xavier's uniform distribution."""
        params, buffers = both.init(key)
        drawn = {
            name: initial.xavier_uniform(random.named(key, name), x.shape, dtype=x.dtype) if x.ndim > 1 else x
            for name, x in tree.flatten(params).items()
        }
        return tree.unflatten(drawn), buffers

    return Layer(init, both.apply)


def generate_square_subsequent_mask(sz: int, device: None = None, dtype: DTypeLike | None = None) -> jax.Array:
    """A causal mask to add to scores: 0 on and below the diagonal, −∞ above.

    Torch: `torch.nn.Transformer.generate_square_subsequent_mask`.
    Shape: (sz, sz).
    Args: sz: the length of the sequence. device: None; JAX places arrays. dtype: float32 when left out.
    Raises: nothing.
    Differs: nothing.
    Source: `torch.nn.Transformer`.
    """
    return jnp.triu(jnp.full((sz, sz), -jnp.inf, dtype or jnp.float32), 1)


Transformer.generate_square_subsequent_mask = generate_square_subsequent_mask  # type: ignore[attr-defined]


def _check_fit(src: tuple[int, ...], tgt: tuple[int, ...], d_model: int, batch_first: bool) -> None:
    if src[-1:] != (d_model,) or tgt[-1:] != (d_model,):
        raise ValueError(f"src and tgt must have d_model={d_model} features, got {src} and {tgt}")
    axis = 0 if batch_first else 1
    if len(src) == 3 and (len(tgt) != 3 or src[axis] != tgt[axis]):
        raise ValueError(f"src and tgt must have one batch size, got {src} and {tgt}")


def _ours(build: Callable[..., Layer], layer: Any) -> Layer:
    """A layer of ours with the options of torch's, read off it; what is ours already is left."""
    if not hasattr(layer, "self_attn"):
        return layer
    sizes = (layer.linear1.in_features, layer.self_attn.num_heads, layer.linear1.out_features, layer.dropout.p)
    order = (layer.self_attn.batch_first, layer.norm_first, layer.linear1.bias is not None)
    return build(*sizes, layer.activation, layer.norm1.eps, *order)


def _activation(activation: Activation) -> Callable[[Any], Any]:
    if callable(activation):
        home = getattr(activation, "__module__", None) or getattr(activation, "__self__", activation).__name__
        return getattr(F, activation.__name__) if home.partition(".")[0] == "torch" else activation
    named: dict[str, Callable[[Any], Any]] = {"relu": F.relu, "gelu": F.gelu}
    if activation not in named:
        raise ValueError(f"activation must be 'relu', 'gelu' or a function, got {activation!r}")
    return named[activation]


def _one_kind(padding: Any, mask: Any, src: Any) -> tuple[Any, Any]:
    """Both masks as numbers to add, where they are of two kinds."""
    if padding is None or mask is None or jnp.asarray(padding).dtype == jnp.asarray(mask).dtype:
        return padding, mask

    def additive(x: Any) -> Any:
        x, dtype = jnp.asarray(x), jnp.asarray(src).dtype
        return jnp.where(x, -jnp.inf, 0).astype(dtype) if x.dtype == jnp.bool_ else x.astype(dtype)

    return additive(padding), additive(mask)


def _residual(x: Any, part: Callable[[Any], Any], norm: Callable[[Any], Any], norm_first: bool) -> Any:
    return x + part(norm(x)) if norm_first else norm(x + part(x))


def _dropped(dropout: Callable[[Any], Any], attended: Any, batch_first: bool) -> Any:
    """Torch keeps attention's result with S first in memory, and draws the mask in that order."""
    if not batch_first or attended.ndim != 3:
        return dropout(attended)
    return jnp.swapaxes(dropout(jnp.swapaxes(attended, 0, 1)), 0, 1)


def _feed_forward(net: Any, activation: Callable[[Any], Any], x: Any) -> Any:
    return net.linear2(net.dropout(activation(net.linear1(x))))


def _stacked(forward: Callable[..., Any], layer: Layer, number: int, norm: Layer | None) -> Layer:
    """Layers that each draw from a key their own, and from torch's stream one to copy."""
    if number < 0:
        raise ValueError(f"num_layers must be at least 0, got {number}")

    def stack(member: Layer) -> Layer:
        return compose(forward, layers=[member] * number, **({} if norm is None else {"norm": norm}))

    def init(key: Any) -> tuple[Tree, Tree]:
        if not isinstance(key, random.TorchGenerator):
            return both.init(key)
        params, buffers = (tree.flatten(drawn) for drawn in layer.init(key))  # jax.tree would sort the names

        def copy(_: Any) -> tuple[Tree, Tree]:
            return tree.unflatten({n: jnp.copy(x) for n, x in params.items()}), tree.unflatten(dict(buffers))

        return stack(Layer(copy, layer.apply)).init(key)

    both = stack(layer)
    return Layer(init, both.apply)
