"""torch's generator of random numbers for the CPU, bit for bit and without torch."""

import math
from collections.abc import Callable, Sequence

import ml_dtypes
import numpy as np

from fnlearn.random import libm, normal, state, truncated
from fnlearn.random.compiled import BLOCK
from fnlearn.random.permutation import permutation
from fnlearn.random.uniform import between, unit, wide

Size = int | Sequence[int]
DType = str | type | np.dtype

CAPABILITIES = ("default", "avx2", "avx512")
FLOATS = ("float32", "float64", "bfloat16", "float16")
FROM_64_BITS = 1 << 28  # the span from which an integer takes two words


def _high_first() -> bool:
    """Whether numpy makes 64 bits of two words as torch does, which C leaves to the compiler that built numpy."""
    words, doubled = np.random.MT19937(0), np.random.Generator(np.random.MT19937(0))
    both = [int(word) for word in words.random_raw(2)]
    return both[0] << 32 | both[1] == int(doubled.integers(0, 2**64 - 1, dtype=np.uint64, endpoint=True))


HIGH_FIRST = _high_first()


class TorchGenerator:
    """A stream of random numbers that is torch's for the same seed.

    Every draw advances the stream by what torch takes for it, so that draws of different kinds may follow each other as
    in a torch program. Draws are numpy arrays: they are made on the host, and float64 and int64 keep their width
    whether or not JAX has its x64 mode on; `jax.numpy.asarray` makes JAX arrays of them. The stream is state, and no
    function of `jax.jit`: what is drawn while a function is traced is a constant in it.

    Torch: `torch.Generator`, and the functions that draw from it.
    Shape: sizes are integers or sequences of them.
    Args: seed: −2⁶³ to 2⁶⁴ − 1, as for `torch.manual_seed`. capability: whose arithmetic to follow, in the words of
        torch's environment variable ATEN_CPU_CAPABILITY: "avx2" and "avx512" (the same numbers) for processors with
        fused multiply–add, on which torch fuses `uniform` between bounds and `normal`, and takes `normal`'s float32
        logarithm, sine and cosine from polynomials of its own; "default" for others. The other draws are the same.
    Raises: ValueError for a seed out of range or an unknown capability.
    Differs: torch on an Intel processor may draw `bernoulli` of one probability, and with it dropout's masks, and
        `exponential` by Intel's MKL, as other numbers. float64, and draws of fewer than 16 normal numbers, take
        logarithm, sine and cosine from the C library of the machine, as torch does.
    Source: Matsumoto, Nishimura: Mersenne Twister (1998); ATen/core/DistributionsHelper.h,
        ATen/native/cpu/DistributionTemplates.h.
    """

    def __init__(self, seed: int = 67280421310721, *, capability: str = "avx2") -> None:
        if capability not in CAPABILITIES:
            raise ValueError(f"capability must be one of {', '.join(CAPABILITIES)}, got {capability!r}")
        self._vector = capability != "default"
        twister = np.random.MT19937()  # shared by numpy's old interface, which seeds as torch does, and its new one
        self._engine, self._doubled = np.random.RandomState(twister), np.random.Generator(twister)
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> "TorchGenerator":
        """Begin the stream of a seed, and return the generator.

        Args: seed: −2⁶³ to 2⁶⁴ − 1; a negative one counts down from 2⁶⁴.
        """
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"seed must be between -2**63 and 2**64 - 1, got {seed}")
        self._seed = seed % 2**64
        self._engine.seed(self._seed & 0xFFFFFFFF)
        self._normal: float | None = None
        self._fresh = True
        return self

    def initial_seed(self) -> int:
        """The seed that the stream began with, 0 to 2⁶⁴ − 1."""
        return self._seed

    def get_state(self) -> np.ndarray:
        """The state as `torch.get_rng_state` gives it: 5056 uint8."""
        _, words, used, *_ = self._engine.get_state(legacy=True)
        return state.to_bytes(state.State(self._seed, np.asarray(words), int(used), self._normal), self._fresh)

    def set_state(self, new_state: np.ndarray) -> "TorchGenerator":
        """Go on from a state that `get_state` or torch gave, and return the generator.

        Args: new_state: 5056 uint8.
        """
        (self._seed, words, used, self._normal), self._fresh = state.from_bytes(new_state)
        self._engine.set_state({"bit_generator": "MT19937", "state": {"key": words, "pos": used}})
        return self

    def rand(self, *size: int | Sequence[int], dtype: DType = "float32") -> np.ndarray:
        """U(0, 1), as `torch.rand`.

        Args: size: integers, or one sequence of them. dtype: of floating point.
        """
        return self.uniform(0.0, 1.0, _listed(size), dtype=dtype)

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Size = (), *, dtype: DType = "float32") -> np.ndarray:
        """U(low, high), as `torch.Tensor.uniform_`.

        Args: low, high: the bounds, high exclusive. size: of the array. dtype: of floating point.
        """
        to = _floating(dtype)
        if not low <= high or not high - low <= float(ml_dtypes.finfo(to).max):
            raise ValueError(f"low must not exceed high, nor their distance {to}'s range, got {low} and {high}")
        return self._fill(size, to, _width(to), lambda drawn: between(drawn, low, high, to, self._vector))

    def randn(self, *size: int | Sequence[int], dtype: DType = "float32") -> np.ndarray:
        """N(0, 1), as `torch.randn`.

        Args: size: integers, or one sequence of them. dtype: of floating point.
        """
        return self.normal(0.0, 1.0, _listed(size), dtype=dtype)

    def normal(self, mean: float = 0.0, std: float = 1.0, size: Size = (), *, dtype: DType = "float32") -> np.ndarray:
        """N(mean, std²), as `torch.normal` and `torch.Tensor.normal_`.

        Args: mean, std: of the distribution, std at least 0. size: of the array. dtype: of floating point.
        """
        to, shape = _floating(dtype), _shape(size)
        if not std >= 0:
            raise ValueError(f"std must not be negative, got {std}")
        count = math.prod(shape)
        drawn = self._few_normal(count, mean, std, to) if count < normal.GROUP else None
        return (self._many_normal(count, mean, std, to) if drawn is None else drawn).reshape(shape)

    def trunc_normal(
        self,
        mean: float = 0.0,
        std: float = 1.0,
        a: float = -2.0,
        b: float = 2.0,
        size: Size = (),
        *,
        dtype: DType = "float32",
    ) -> np.ndarray:
        """N(mean, std²) within [a, b], as `torch.nn.init.trunc_normal_`.

        Where [a, b] holds less than three tenths of the distribution, torch compares with a logarithm of its own; a
        number that differs from it in the last bit there may be accepted in its place, once in some 10⁷ draws.

        Args: mean, std: of the distribution before truncation, std above 0. a, b: the bounds. size: of the array.
            dtype: of floating point.
        """
        if not (std > 0 and a < b):
            raise ValueError(f"std must be above 0 and a below b, got std={std}, a={a}, b={b}")
        return truncated.draw(self, mean, std, a, b, _shape(size), _floating(dtype))

    def exponential(self, lambd: float = 1.0, size: Size = (), *, dtype: DType = "float32") -> np.ndarray:
        """Exponentially distributed, of mean 1 / lambd, as `torch.Tensor.exponential_`.

        Args: lambd: the rate, above 0. size: of the array. dtype: of floating point.
        """
        to = _floating(dtype)
        if not lambd > 0:
            raise ValueError(f"lambd must be above 0, got {lambd}")
        return self._fill(size, to, 2, lambda drawn: _narrow(-1.0 / lambd * libm.log1p(-unit(drawn)), to))

    def bernoulli(
        self, p: float | np.ndarray = 0.5, size: Size | None = None, *, dtype: DType = "float32"
    ) -> np.ndarray:
        """1 with probability p and else 0, as `torch.Tensor.bernoulli_` of a number or `torch.bernoulli` of an array.

        Args: p: 0 to 1; an array has a probability for each draw, and its dtype decides, as in torch, how many bits
            are drawn. size: of the result, p's own where it is left out. dtype: any.
        """
        chances = np.asarray(p)
        if not ((chances >= 0) & (chances <= 1)).all():
            raise ValueError(f"p must be between 0 and 1, got {p}")
        shape = chances.shape if size is None else _shape(size)
        if isinstance(p, int | float):
            return self._fill(shape, np.dtype(dtype), 2, lambda drawn: unit(drawn) < p)
        number = self.rand(shape, dtype="float64" if chances.dtype == np.float64 else "float32")
        return (number < chances.astype(number.dtype)).astype(dtype)

    def dropout_mask(self, shape: Size, p: float = 0.5) -> np.ndarray:
        """Which numbers dropout and alpha_dropout keep of an array in training: a bool each.

        Args: shape: the array's. p: the probability of a zero; at 0 and 1 torch draws nothing.
        """
        if not 0 <= p <= 1:
            raise ValueError(f"p must be between 0 and 1, got {p}")
        return self.bernoulli(1 - p, shape, dtype=bool) if 0 < p < 1 else np.full(_shape(shape), p == 0)

    def feature_dropout_mask(self, shape: Size, p: float = 0.5) -> np.ndarray:
        """Which channels dropout1d, 2d and 3d and feature_alpha_dropout keep: bools (N, C, 1, …) to broadcast.

        Args: shape: the array's, (N, C, *). p: as for `dropout_mask`.
        """
        sizes = _shape(shape)
        if len(sizes) < 2:
            raise ValueError(f"shape must be (N, C, *), got {sizes}")
        return self.dropout_mask((*sizes[:2], *(1 for _ in sizes[2:])), p)

    def randint(
        self, low: int = 0, high: int | None = None, size: Size | None = None, *, dtype: DType = "int64"
    ) -> np.ndarray:
        """Integers from low on and below high, as `torch.randint`.

        Args: low, high: the bounds; `randint(high, size)` begins at 0. size: of the array. dtype: any.
        """
        if size is None:
            low, high, size = 0, low, high
        if high is None or size is None or not low < high:
            raise ValueError(f"randint needs low < high and a size, got low={low}, high={high}, size={size}")
        span, to = high - low, np.dtype(dtype)
        finish = lambda drawn: _integers(np.remainder(drawn, drawn.dtype.type(span), out=drawn), low, to)  # noqa: E731
        return self._fill(size, to, 2 if span >= FROM_64_BITS else 1, finish)

    def random(self, size: Size = (), *, dtype: DType = "int64") -> np.ndarray:
        """Integers over the whole range from 0 on that the dtype holds exactly, as `torch.Tensor.random_` of no bounds.

        Args: size: of the array. dtype: any.
        """
        to = np.dtype(dtype)
        top = np.iinfo(to).max if to.kind in "iu" else 1 if to.kind == "b" else 2 ** (ml_dtypes.finfo(to).nmant + 1)
        words = 2 if to in (np.int64, np.float64) else 1
        return self._fill(size, to, words, lambda drawn: _integers(drawn % np.uint64(top + 1), 0, to))

    def randperm(self, n: int, *, dtype: DType = "int64") -> np.ndarray:
        """0 … n − 1 in random order, as `torch.randperm`.

        Args: n: how many, below 2³¹. dtype: any.
        """
        if not 0 <= n < 2**31:
            raise ValueError(f"n must be between 0 and 2**31 - 1, got {n}")
        return permutation(n, self._words, lambda count: self._draw(count, 2)).astype(dtype, copy=False)

    def _words(self, count: int) -> np.ndarray:
        """The next words of the stream."""
        self._fresh = self._fresh and count == 0
        return self._engine.randint(0, 2**32, size=count, dtype=np.uint32)

    def _draw(self, count: int, words: int) -> np.ndarray:
        """The next numbers of one word, uint32, or of two, uint64."""
        if words == 1:
            return self._words(count)
        if not HIGH_FIRST:
            return wide(self._words(2 * count))
        self._fresh = self._fresh and count == 0
        return self._doubled.integers(0, 2**64 - 1, count, np.uint64, endpoint=True)

    def _fill(self, size: Size, dtype: np.dtype, words: int, make: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """An array of draws that take one word each, or two, a block after the other."""
        shape = _shape(size)
        out = np.empty(math.prod(shape), dtype)
        for start in range(0, out.size, BLOCK):
            part = out[start : start + BLOCK]
            part[...] = make(self._draw(part.size, words))
        return out.reshape(shape)

    def _few_normal(self, count: int, mean: float, std: float, dtype: np.dtype) -> np.ndarray:
        kept = [] if self._normal is None else [self._normal]
        fresh = -(-(count - len(kept)) // 2) if count else 0
        uniform = self.rand(2 * fresh, dtype="float64")
        made = np.stack(normal.pairs(uniform[0::2], uniform[1::2]), 1).ravel()
        made = np.concatenate([kept, made]) if count else made
        if count:
            self._normal = float(made[count]) if made.size > count else None
        return _narrow(normal.scaled(made[:count], mean, std, self._vector), dtype)

    def _many_normal(self, count: int, mean: float, std: float, dtype: np.dtype) -> np.ndarray:
        """In groups of 16; what is left over below 16 is drawn anew together with the numbers before it."""
        whole, rest = count // normal.GROUP * normal.GROUP, count % normal.GROUP
        fill = lambda part: normal.fill(part, self._draw(part.size, _width(dtype)), mean, std, self._vector)  # noqa: E731
        out = np.empty(count, dtype)
        for start in range(0, whole, BLOCK):
            fill(out[start : min(start + BLOCK, whole)])
        if rest:
            if dtype in (np.float32, np.float64):  # torch fills the array with uniform numbers first
                self._draw(rest, _width(dtype))
            fill(out[-normal.GROUP :])
        return out


def _width(dtype: np.dtype) -> int:
    """How many words a number of this dtype takes."""
    return 2 if dtype == np.float64 else 1


def _shape(size: Size) -> tuple[int, ...]:
    shape = (int(size),) if isinstance(size, int | np.integer) else tuple(int(n) for n in size)
    if any(n < 0 for n in shape):
        raise ValueError(f"sizes must not be negative, got {shape}")
    return shape


def _listed(size: tuple[int | Sequence[int], ...]) -> Size:
    """Sizes as they come from `*size`: numbers, or one sequence of numbers."""
    first = size[0] if len(size) == 1 else size
    return first  # type: ignore[return-value]


def _floating(dtype: DType) -> np.dtype:
    found = np.dtype(dtype)
    if found.name not in FLOATS:
        raise TypeError(f"dtype must be one of {', '.join(FLOATS)}, got {found}")
    return found


def _narrow(wide: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """float64 → dtype by way of float32, as C++ converts."""
    return wide if dtype == np.float64 else wide.astype(np.float32).astype(dtype, copy=False)


def _integers(drawn: np.ndarray, low: int, dtype: np.dtype) -> np.ndarray:
    """Unsigned → dtype by way of int64, in which the sum of wide ones wraps around."""
    if drawn.dtype == np.uint32:
        return np.add(drawn, np.int64(low), dtype=np.int64).astype(dtype, copy=False)
    return (drawn + np.uint64(low % 2**64)).view(np.int64).astype(dtype, copy=False)
