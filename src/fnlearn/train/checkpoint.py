"""Training states on disk: what a run needs to go on as if nothing had happened.

orbax writes them, in the background and each under a temporary name until all of it is there, and restores them onto
any mesh. What it does not do is added here: each array's checksum is kept beside it, so that a file that was damaged
later is noticed, and the state before it is used.
"""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from fnlearn.optim.grouping import named

__all__ = ["Checkpoints", "Restored"]

LOG = logging.getLogger(__name__)
ITEMS = ("state", "about")


class Restored(NamedTuple):
    """A state that was saved.

    Args: step: its number. state: the tree. extra: what was saved with it. damaged: the steps that were newer and could
        not be read, each with the reason.
    Raises: nothing.
    """

    step: int
    state: Any
    extra: dict[str, Any]
    damaged: dict[int, str]


class Checkpoints:
    """The saved states of a run, in a directory of their own.

        with Checkpoints("run", keep=3) as saved:
            state = saved.restore(state).state if saved.steps() else state
            saved.save(int(state.step), state)

    Args: directory: made if it is not there. keep: how many of the newest stay. best: makes a number of the metrics a
        state was saved with; then the best stay instead of the newest. mode: "max" or "min", which is best. background:
        whether `save` returns before all is written.
    Raises: ValueError when keep is below 1 or mode is another; OSError when the directory can't be made.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        keep: int = 3,
        best: Callable[[Mapping[str, float]], float] | None = None,
        mode: str = "max",
        background: bool = True,
    ):
        if keep < 1:
            raise ValueError(f"keep must be at least 1, got {keep}")
        if mode not in ("max", "min"):
            raise ValueError(f"mode must be 'max' or 'min', got {mode!r}")
        self.directory = Path(directory).absolute()
        self.directory.mkdir(parents=True, exist_ok=True)
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            best_fn=best,
            best_mode=mode,
            enable_async_checkpointing=background,
            cleanup_tmp_directories=True,  # what a run that was killed left behind
        )
        self._manager = ocp.CheckpointManager(self.directory, options=options, item_names=ITEMS)

    def __enter__(self) -> Self:
        """The checkpoints themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what is being written."""
        self.close()

    def save(
        self,
        step: int,
        state: Any,
        extra: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Write a state; one that is there already under this number stays.

        Args: step: its number, higher than those before. state: any tree of arrays, such as a `TrainState`, with typed
            keys. extra: what JSON can hold, such as the data's position and the configuration. metrics: numbers for
            `best`.
        Raises: OSError when it, or the one written before in the background, can't be written; those before stay.
        """
        arrays = _plain(state)
        about = {"sums": _sums(arrays), "extra": dict(extra or {})}
        args = ocp.args.Composite(state=ocp.args.StandardSave(arrays), about=ocp.args.JsonSave(about))
        numbers = None if metrics is None else {name: float(x) for name, x in metrics.items()}
        self._told(lambda: self._manager.save(step, args=args, metrics=numbers))

    def steps(self) -> list[int]:
        """The numbers of the states that are there, ascending.

        Args: none.
        Returns: those whose writing was finished.
        Raises: nothing.
        """
        return sorted(self._manager.all_steps())

    def restore(self, like: Any, step: int | None = None) -> Restored:
        """The newest state that is whole, or that of a step.

        Args: like: a tree as it was saved, of arrays or of `jax.ShapeDtypeStruct`; where they have a sharding, on
            whatever mesh, the state gets it. step: which one; the newest when left out.
        Returns: the state, what was saved with it, and the newer ones that were passed over because they are damaged.
        Raises: FileNotFoundError when there is none, or none of that number; ValueError when none of them can be read,
            or that of the number can't, with the reason for each.
        """
        self.wait()
        there = self.steps()
        if not there or (step is not None and step not in there):
            raise FileNotFoundError(f"{self.directory} has no checkpoint{'' if step is None else f' {step}'}: {there}")
        damaged: dict[int, str] = {}
        for number in [step] if step is not None else reversed(there):
            try:
                state, extra = self._read(number, like)
            except Exception as error:  # orbax and tensorstore tell damage by many kinds of error
                damaged[number] = " ".join(str(error).split())[:300]
                LOG.warning("checkpoint %s of %s is damaged: %s", number, self.directory, damaged[number])
                continue
            return Restored(number, state, extra, damaged)
        told = "\n  ".join(f"{number}: {reason}" for number, reason in damaged.items())
        raise ValueError(f"no checkpoint of {self.directory} can be read:\n  {told}")

    def wait(self) -> None:
        """Wait for what is being written.

        Args: none.
        Raises: OSError when it can't be written; those before stay.
        """
        self._told(self._manager.wait_until_finished)

    def close(self) -> None:
        """Wait for what is being written, and let go of the directory.

        Args: none.
        Raises: as for `wait`.
        """
        self.wait()
        self._manager.close()

    def _read(self, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, _plain(like))
        args = ocp.args.Composite(state=ocp.args.StandardRestore(shapes), about=ocp.args.JsonRestore())
        found = self._manager.restore(step, args=args)
        arrays, about = found["state"], found["about"]
        sums = _sums(arrays)
        wrong = [name for name, total in sums.items() if about["sums"].get(name, total) != total]
        if wrong:
            raise ValueError(f"the numbers of {', '.join(wrong[:5])} are not those that were saved")
        return _with_keys(arrays, like), about["extra"]

    def _told(self, write: Callable[[], Any]) -> None:
        try:
            write()
        except OSError:
            raise
        except Exception as error:  # tensorstore's own, which have the system's code in their text
            if not isinstance(error.__cause__, OSError) and "os_error_code" not in str(error):
                raise
            reason = " ".join(str(error).split())[-300:]
            raise OSError(f"{self.directory}: the checkpoint can't be written, those before stay: {reason}") from error


def _is_key(x: Any) -> bool:
    return hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _plain(state: Any) -> Any:
    """The tree with typed keys as their numbers."""
    return jax.tree.map(lambda x: _numbers(x) if _is_key(x) else x, state)


def _numbers(key: Any) -> Any:
    if isinstance(key, jax.ShapeDtypeStruct):
        return jax.eval_shape(jax.random.key_data, key)
    return jax.random.key_data(key)


def _with_keys(arrays: Any, like: Any) -> Any:
    """The tree with keys where there are some in the other."""
    wrap = lambda x, old: jax.random.wrap_key_data(x, impl=jax.random.key_impl(old)) if _is_key(old) else x  # noqa: E731
    return jax.tree.map(wrap, arrays, like)


def _sums(arrays: Any) -> dict[str, int]:
    """A checksum of every array by its name: the same on any mesh, and in every process of several."""
    leaves = [(named(path), jnp.asarray(x)) for path, x in jax.tree_util.tree_leaves_with_path(arrays)]
    groups: dict[Any, list[tuple[str, jax.Array]]] = {}
    for name, x in leaves:
        groups.setdefault(frozenset(x.sharding.device_set), []).append((name, x))
    totals: dict[str, jax.Array] = {}
    for group in groups.values():  # one program for all arrays of the same devices
        totals |= zip((name for name, _ in group), _summed([x for _, x in group]), strict=True)
    return {name: int(totals[name]) for name, _ in leaves}


@jax.jit
def _summed(arrays: list[jax.Array]) -> list[jax.Array]:
    return list(map(_checksum, arrays))


def _checksum(x: jax.Array) -> jax.Array:
    """All bits as words, each times an odd number of its place, modulo 2³²: any one that changes changes the sum."""
    if jnp.iscomplexobj(x):
        return _checksum(x.real) + jnp.uint32(3) * _checksum(x.imag)
    if x.dtype == bool or (jnp.issubdtype(x.dtype, jnp.integer) and x.dtype.itemsize < 4):
        words = x.astype(jnp.uint32)
    else:
        size = min(x.dtype.itemsize, 4) * 8
        words = jax.lax.bitcast_convert_type(x, jnp.dtype(f"uint{size}")).astype(jnp.uint32)
    place = jnp.zeros(words.shape, jnp.uint32)
    for dim, size in enumerate(words.shape):
        place = place * jnp.uint32(size) + jax.lax.broadcasted_iota(jnp.uint32, words.shape, dim)
    return jnp.sum(words * (place * jnp.uint32(2654435761) | jnp.uint32(1)), dtype=jnp.uint32)
