"""The loop: turns of a source, a look after each, and what is done about what is seen there."""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from fnlearn.train.data import in_memory
from fnlearn.train.device import chip, seconds_at_peak
from fnlearn.train.faults import FAILED, TrainingError, explained, guarded, terminated
from fnlearn.train.log import Sink, jsonl, profiled, watching
from fnlearn.train.state import TrainState, copied
from fnlearn.train.step import Step
from fnlearn.train.turns import Source, Turn, of_arrays, of_batches

if TYPE_CHECKING:
    from fnlearn.train.checkpoint import Checkpoints

History = dict[str, np.ndarray]
AfterEpoch = Callable[[int, TrainState, History], bool | None]

UPDATES = 20  # how often the progress bar moves: often enough to watch, too seldom to cost anything
NONFINITE = (None, "skip", "stop", "rollback")
PLACE = ("epoch", "batch", "position")  # what is saved of where a run is in its data
ROLLBACKS = 3  # to one state in a row


def fit(
    state: TrainState,
    step: Step,
    data: Any,
    *,
    epochs: int,
    steps_per_epoch: int | None = None,
    batch_size: int | None = None,
    shuffle: jax.Array | None = None,
    progress: bool = False,
    after_epoch: AfterEpoch | None = None,
    nonfinite: str | None = None,
    checkpoints: "Checkpoints | None" = None,
    save_every: int | None = None,
    log: str | os.PathLike[str] | Sink | Sequence[Any] | None = None,
    profile: str | os.PathLike[str] | None = None,
    tokens_per_row: int | None = None,
) -> tuple[TrainState, History]:
    """Train on arrays that fit in memory, or on batches that come one after the other.

    An epoch visits every row once: in batches of `batch_size`, the last one smaller when the rows don't divide evenly,
    as a `torch.utils.data.DataLoader` does. The state's buffers are donated: use the state returned, not the one given.
    Epochs of arrays are one compiled loop, but for a step with XLA's convolutions on a CPU, where they are many times
    slower in a loop: it is called for each batch, with the same order, keys and history.

    Args: state: where to start. step: as `make_step` returns it. data: a tree of arrays with one leading length, the
        rows, which whole epochs on the device go through; or anything that gives batches whenever it is iterated over,
        such as a `DataLoader` of torch's, whose batches are moved to the device while the one before is computed with;
        or a function of the epoch's number that returns such a thing. epochs: how many. steps_per_epoch: how many of
        the batches that come one after the other make an epoch, instead of all: so `after_epoch`, saves, the log and
        the history go by steps. Where the data ends it is begun again, a function is called with the number of the
        round; it need not end. batch_size, shuffle: of arrays alone: rows a step, all of them when left out; a key to
        draw each epoch's order from, without which the order stays. progress: show a bar with the loss, the rate and
        the time left. after_epoch: called with an epoch's number, from 0, the state after it and its metrics, to
        evaluate, save or log; True ends the training. It must not keep the state: copy what is to stay. nonfinite: what
        is done when the loss, or a number of the state, is not finite any more; nothing looks for it when left out.
        "skip": that step changes nothing. "stop": a `TrainingError` with the state before it. "rollback": back to the
        newest checkpoint, without checkpoints to the beginning of the epoch, and on with the data after it. The error,
        or a warning, names the layer. checkpoints: where states are saved, and from whose newest the run goes on; on
        SIGTERM the state is saved, and the process exits with 0, of several processes all after the same step.
        save_every: how many steps lie between two saves at least; each epoch is saved when left out, and arrays at the
        ends of epochs alone. log: a path for lines of JSON, by the first of several processes, a function that gets
        each record, such as `log.tensorboard`, or a list of them; when left out "log.jsonl" in the checkpoints'
        directory, or nothing without one. profile: a directory for `jax.profiler`'s trace of up to ten batches, or
        epochs of arrays, after the first. tokens_per_row: for tokens per second.
    Returns: (state, history): history holds each metric as an array (epochs, steps of an epoch), of the epochs that
        this call went through, NaN where one had fewer steps; and "nonfinite", which steps changed nothing, if asked.
    Raises: ValueError when an option is out of its range, the arrays' lengths differ or are 0, or an iterator has no
        batches; TrainingError, with the last good state, when the data raises, or numbers are not finite.
    Source: the training loop of a PyTorch script.
    """
    _check(nonfinite, epochs=epochs, steps_per_epoch=steps_per_epoch, batch_size=batch_size, save_every=save_every)
    place = Turn(None, 0)
    if checkpoints is not None and checkpoints.steps():
        state, place = _resumed(checkpoints, state)
    taken = step if nonfinite is None else guarded(step, nonfinite != "skip")
    if in_memory(data):
        if steps_per_epoch is not None:
            raise ValueError("steps_per_epoch is for batches that come one after the other; of arrays it is all rows")
        watched = nonfinite == "rollback" or any(x is not None for x in (after_epoch, checkpoints, log, profile))
        each = 1 if watched else -(-epochs // UPDATES) if progress or nonfinite else epochs
        source = of_arrays(taken, data, batch_size, shuffle, place.epoch, epochs, each)
    elif batch_size is not None or shuffle is not None:
        raise ValueError("batch_size and shuffle are for arrays; an iterator has its own")
    else:
        source = of_batches(taken, data, place, epochs, steps_per_epoch)
    sinks = _sinks(log, checkpoints)
    counted = int(state.step) if sinks or checkpoints is not None else 0  # waits for the device
    run = _Run(state, place, step, source, nonfinite, checkpoints, save_every, counted)
    with (
        watching(progress, epochs, source.length, sinks, tokens_per_row, run.at_peak) as tell,
        profiled(profile, source.total == 1) as about_to,
        terminated(checkpoints is not None) as asked_to_end,
    ):
        for turn in run.turns():
            if turn.steps:
                about_to()
            for look in run.take(turn):
                tell(*look)
            ended = False
            if turn.ends and after_epoch is not None and run.history:
                ended = bool(after_epoch(turn.epoch - 1, run.state, run.history[-1]))
            last, asked = ended or (turn.ends and turn.epoch == epochs), asked_to_end()
            run.save(turn._replace(epoch=epochs) if last else turn, now=last or asked)
            if asked:
                raise SystemExit(0)
            if ended:
                break
    return run.state, _joined(run.history)


class _Run:
    """A state on its way through the data.

    Args: state: where it starts. place: in the data. step: what is looked into where it fails. source: the data and the
        step that is taken. nonfinite, checkpoints, save_every: as for `fit`. counted: the steps that were taken before.
    """

    def __init__(
        self,
        state: TrainState,
        place: Turn,
        step: Step,
        source: Source,
        nonfinite: str | None,
        checkpoints: "Checkpoints | None",
        save_every: int | None,
        counted: int,
    ):
        self.step, self.source, self.place, self.nonfinite = step, source, place, nonfinite
        self.checkpoints, self.save_every = checkpoints, save_every
        self.carried: Any = state if nonfinite is None else (state, jnp.bool_(False))
        self.count = self.saved = counted
        self.ahead: deque[tuple[Turn, Any, int]] = deque()  # a batch is computed while the one before is looked at
        self.steps: list[Any] = [None] * place.batch  # of the epoch; those of before are not known
        self.history: list[History] = []
        self.rollbacks = self.passed_over = 0
        self.warned = False
        self.safe = copied(state) if nonfinite == "rollback" and checkpoints is None else None
        if nonfinite == "rollback" and checkpoints is not None and not checkpoints.steps():
            self._write(place)

    @property
    def state(self) -> TrainState:
        """The newest."""
        return self.carried if self.nonfinite is None else self.carried[0]

    def at_peak(self, turn: Turn) -> float | None:
        """The seconds that a row of a turn takes where all devices compute at their peak, if it is known."""
        devices = max((x.sharding.device_set for x in jax.tree.leaves(self.carried)), key=len)
        device = next(iter(devices))
        if chip(device) is None or not turn.rows:  # nothing is traced
            return None
        seconds = seconds_at_peak(self.source.jaxpr(self.carried, turn), device)
        return None if seconds is None else seconds / len(devices) / turn.rows

    def turns(self) -> Iterator[Turn]:
        """Those of the source; what it raises comes with the state so far."""
        begun = False
        try:
            for turn in self.source.turns:
                begun = True
                yield turn
        except Exception as error:
            if not begun:  # nothing is lost
                raise
            self.save(self.place, now=True)
            kept = "" if self.checkpoints is None else f", and saved in {self.checkpoints.directory}"
            where = f"epoch {self.place.epoch} after {self.place.batch} batches"
            text = f"the data failed in {where}: {error!r}; the state so far is this error's .state{kept}"
            raise TrainingError(text, self.state, self.place.epoch, self.place.batch) from error

    def take(self, turn: Turn) -> Iterator[tuple[Turn, History, int]]:
        """Take a turn's steps, and give what is known by now: turns before it, their metrics, and the steps' count."""
        if turn.steps:
            self.carried, metrics = self.source.advance(self.carried, turn)
            self.count += turn.steps
            self.ahead.append((turn, metrics, self.count))
        self.place = turn
        while len(self.ahead) > (0 if turn.ends else 1):
            looked, metrics, count = self.ahead.popleft()
            metrics = jax.device_get(metrics)
            (self.history if looked.ends else self.steps).append(metrics)
            if self.nonfinite is not None and np.any(metrics[FAILED]):
                self._recover(looked, np.atleast_2d(metrics[FAILED]))
            yield looked, metrics, count
        if turn.ends and any(self.steps):
            self.history.append(_stacked(self.steps))
            yield turn, self.history[-1], self.count
        if turn.ends:
            self.steps = []
            if self.safe is not None and self.state.step > self.safe.step:
                self.safe, self.rollbacks = copied(self.state), 0

    def save(self, place: Turn, *, now: bool) -> None:
        """Save the state, if there are checkpoints and it is time; now: it is, and the save is to be finished."""
        due = place.ends if self.save_every is None else self.count - self.saved >= self.save_every
        if self.checkpoints is not None and (due or now):
            self._write(place)
            if now:
                self.checkpoints.wait()

    def _write(self, place: Turn) -> None:
        assert self.checkpoints is not None
        step = int(self.state.step)  # fewer than were counted, where nothing is changed any more
        if step not in self.checkpoints.steps():
            self.checkpoints.save(step, self.state, {name: getattr(place, name) for name in PLACE})
            self.rollbacks = 0
        self.saved = self.count

    def _recover(self, turn: Turn, failed: np.ndarray) -> None:
        """Do what was chosen about steps of a turn that failed."""
        if self.passed_over:  # it was computed before the one before it was looked at, and changed nothing
            self.passed_over -= 1
            return
        if self.nonfinite == "skip" and self.warned:
            return
        epoch, batch = map(int, np.argwhere(failed)[0])
        cause = explained(self.step, self.state, self.source.batch_at(turn, epoch, batch))
        epoch, batch = (turn.work[0] + epoch, batch) if turn.ends else (turn.epoch, turn.batch - 1)
        where = f"epoch {epoch}, batch {batch} (both from 0): {cause}"
        if self.nonfinite == "skip":
            self.warned = True
            warnings.warn(f"a step was skipped in {where}; history['{FAILED}'] has all that are", stacklevel=4)
            return
        self.rollbacks += 1
        if self.nonfinite == "stop" or self.rollbacks > ROLLBACKS:
            again = "" if self.nonfinite == "stop" else f", after {ROLLBACKS} times back to the same state"
            text = f"training stopped in {where}{again}; the state before it is this error's .state"
            raise TrainingError(text, self.state, epoch, batch)
        if self.checkpoints is not None:
            state = self.checkpoints.restore(self.state).state
        else:
            state = copied(self.safe)
        self.carried, self.count, self.passed_over = (state, jnp.bool_(False)), int(state.step), len(self.ahead)
        warnings.warn(f"back to step {self.count} from {where}", stacklevel=4)


def _check(nonfinite: str | None, **counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
    if nonfinite not in NONFINITE:
        raise ValueError(f"nonfinite must be one of {', '.join(map(repr, NONFINITE))}, got {nonfinite!r}")


def _resumed(checkpoints: "Checkpoints", state: TrainState) -> tuple[TrainState, Turn]:
    """The newest state that was saved, and where in the data it was."""
    found = checkpoints.restore(state)
    if missing := [name for name in PLACE if name not in found.extra]:
        raise ValueError(
            f"checkpoint {found.step} of {checkpoints.directory} was not saved by fit: it has no {', '.join(missing)}; "
            "give fit a directory of its own"
        )
    place = Turn(None, *(found.extra[name] for name in PLACE))
    return found.state, place


def _sinks(log: Any, checkpoints: "Checkpoints | None") -> list[Sink]:
    if log is None:
        log = [] if checkpoints is None else checkpoints.directory / "log.jsonl"
    each = log if isinstance(log, list | tuple) else [log]
    first = jax.process_index() == 0  # of several processes, who may see the same files
    return [sink if callable(sink) else jsonl(sink) for sink in each if callable(sink) or first]


def _stacked(steps: list[Any]) -> History:
    """An epoch of one that came step by step; those that are not known are NaN."""
    one = next(step for step in steps if step is not None)
    unknown = jax.tree.map(lambda x: np.full(np.shape(x), np.nan), one)
    return jax.tree.map(lambda *x: np.stack(x)[None], *(unknown if step is None else step for step in steps))


def _joined(history: list[History]) -> History:
    """All epochs, each filled up with NaN to the longest."""
    if len(history) < 2:
        return jax.tree.map(np.array, history[0]) if history else {}
    longest = max(x.shape[1] for part in history for x in jax.tree.leaves(part))

    def filled(x: np.ndarray) -> np.ndarray:
        missing = longest - x.shape[1]
        return x if not missing else np.pad(np.asarray(x, float), [(0, 0), (0, missing), *[(0, 0)] * (x.ndim - 2)],
                                            constant_values=np.nan)  # fmt: skip

    return jax.tree.map(lambda *x: np.concatenate([*map(filled, x)]), *history)
