"""A scheduler of torch's continued, and handed back."""

from collections.abc import Mapping, Sequence
from typing import Any

from fnlearn.optim.schedules.plateau import PlateauState
from fnlearn.optim.schedules.simple import wave_of

StateDict = Mapping[str, Any]


def from_torch(state_dict: StateDict) -> Any:
    """Where a torch scheduler stands: the steps done, for `optim.from_torch(…, count=…)`, or a plateau's state.

    Torch: `torch.optim.lr_scheduler.LRScheduler.load_state_dict`.
    Shape: none.
    Args: state_dict: of any scheduler; hyper-parameters in it are not looked at.
    Raises: nothing.
    Differs: nothing.
    Source: `torch.optim.lr_scheduler`.
    """
    if "num_bad_epochs" in state_dict:
        rest = (state_dict[name] for name in ("best", "num_bad_epochs", "cooldown_counter", "last_epoch"))
        return PlateauState(state_dict["_last_lr"][0], *rest)
    if "last_epoch" in state_dict:
        return int(state_dict["last_epoch"])
    return max(int(from_torch(part)) for part in state_dict["_schedulers"])


def to_torch(state: int | PlateauState, state_dict: StateDict, rates: Sequence[float]) -> dict[str, Any]:
    """A state_dict for a torch scheduler that goes on from here.

    Torch: `torch.optim.lr_scheduler.LRScheduler.state_dict`.
    Shape: none.
    Args: state: the count, or a plateau's state. state_dict: one of the scheduler, for all else that it holds. rates:
        of each group now, which its optimizer takes by `optim.to_torch(…, lr=rates)`.
    Raises: nothing.
    Differs: nothing.
    Source: `torch.optim.lr_scheduler`.
    """
    found = dict(state_dict) | {"_last_lr": [float(rate) for rate in rates]}
    if isinstance(state, PlateauState):
        whole = {name: int(getattr(state, name)) for name in ("num_bad_epochs", "cooldown_counter", "last_epoch")}
        return found | {"best": float(state.best), **whole}
    if "_milestones" in found:
        starts = [0, *found["_milestones"]]
        ends = [*found["_milestones"], state + 1]
        found["_schedulers"] = [
            to_torch(min(state, end - 1) - start, part, rates) if state >= start else part
            for start, end, part in zip(starts, ends, found["_schedulers"], strict=True)
        ]
    elif "_schedulers" in found:
        found["_schedulers"] = [to_torch(state, part, rates) for part in found["_schedulers"]]
    if "T_cur" in found:
        done, length = wave_of(state, found["T_0"], found["T_mult"])
        found |= {"T_cur": int(done), "T_i": int(length)}
    counted = {"last_epoch": state, "_step_count": state + 1}
    return found | {name: value for name, value in counted.items() if name in found}
