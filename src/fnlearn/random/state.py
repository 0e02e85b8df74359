"""A generator's state as the bytes of `torch.get_rng_state`."""

from typing import NamedTuple

import numpy as np

WORDS = 624
LAYOUT = np.dtype(
    {
        "names": ["seed", "left", "seeded", "next", "words", "normal", "cached", "narrow", "narrow_cached"],
        "formats": ["<u8", "<i4", "<i4", "<u8", ("<u8", WORDS), "<f8", "<i4", "<f4", "?"],
        "offsets": [0, 8, 12, 16, 24, 5024, 5040, 5048, 5052],
        "itemsize": 5056,
    }
)


class State(NamedTuple):
    """The seed, Mersenne Twister's words, how many of them are used, and the normal number that is left over."""

    seed: int
    words: np.ndarray
    used: int
    normal: float | None


def to_bytes(state: State, fresh: bool) -> np.ndarray:
    """The state as torch writes it; fresh, it says that no word is used where there are none to use."""
    record = np.zeros((), LAYOUT)
    record["seed"], record["seeded"], record["words"] = state.seed, 1, state.words
    record["left"], record["next"] = WORDS + 1 - state.used, 0 if fresh else state.used
    if state.normal is not None:
        record["normal"], record["cached"] = state.normal, 1
    return np.frombuffer(record.tobytes(), np.uint8).copy()


def from_bytes(data: np.ndarray) -> tuple[State, bool]:
    """What `to_bytes` was given."""
    data = np.asarray(data)
    if data.dtype != np.uint8 or data.shape != (LAYOUT.itemsize,):
        raise ValueError(f"state must be {LAYOUT.itemsize} uint8, got {data.dtype} of shape {data.shape}")
    record = np.frombuffer(data.tobytes(), LAYOUT)[0]
    left, following = int(record["left"]), int(record["next"])
    if not record["seeded"] or not 0 < left <= WORDS or following > WORDS:
        raise ValueError(f"state must be torch's: got seeded={record['seeded']}, left={left}, next={following}")
    normal = float(record["normal"]) if record["cached"] else None
    words = record["words"].astype(np.uint32)
    return State(int(record["seed"]), words, WORDS if left == 1 else following, normal), left == 1 and following == 0
