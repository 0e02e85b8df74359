"""A torch model's calls, recorded one by one while it runs on tensors that have shapes but no numbers.

A `TorchFunctionMode` sees every call of the public API once, and nothing of what happens inside it; calls of modules
are seen at `torch.nn.Module.__call__`. Sizes of the inputs are symbols, so that what follows from a shape is told from
what is a constant.
"""

import random
import sys
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic, StatelessSymbolicContext
from torch.nn.utils.stateless import _reparametrize_module
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch

from fnlearn.equivalence.completed import weighted
from fnlearn.equivalence.prepared import copied
from fnlearn.port import calls, escape, frames, norms, packed, parts, views
from fnlearn.port.calls import HERE, PASSED_OVER, api_name, leaves, storage
from fnlearn.port.dtypes import Dtypes
from fnlearn.port.errors import PortError
from fnlearn.port.frames import Frames, Lent, forward
from fnlearn.port.graph import NORMS, RECURRENT, Inst, Op, Opaque, Sym, Val, Where, mapped, of_torch
from fnlearn.port.ops import row_of
from fnlearn.port.patches import MOST_CONSTANT, patched
from fnlearn.port.sizes import SYMBOLIC, Sizes
from fnlearn.port.source import said, turned
from fnlearn.port.traced import Trace

__all__ = ["trace"]

PLAIN = bool | int | float | complex | str | slice | torch.dtype | torch.device | torch.layout | torch.memory_format

Dims = Container[int]  # which of an input's dimensions are symbols


def trace(
    module: torch.nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    train: bool,
    dynamic: Dims,
    raised: Dims,
    sizes: Sizes,
) -> Trace:
    """Run a copy of the model in one mode, and say what it did.

    raised: which dimensions of one in an input are run as ones of two, since torch has no symbol for a size of one.
    """
    module = copied(module).train(train)
    fake_mode = FakeTensorMode(shape_env=sizes.env, allow_non_fake_inputs=True)
    fake_mode.cache_enabled = False  # a third of the time where sizes are symbols
    recorder = _Recorder(module, fake_mode, sizes)

    def given(leaf: Any) -> Any:
        return recorder.faked(leaf, dynamic, raised) if isinstance(leaf, torch.Tensor) else leaf

    packed.refuse((args, kwargs), "an input is")
    # lists and the like are passed on as they are, with other leaves
    inputs = torch.utils._pytree.tree_map(given, (args, dict(kwargs)))
    state = _reparametrize_module(module, recorder.state)
    drawn = _drawn()
    with torch.enable_grad(), weighted(), patched(recorder), packed.kept_padded(recorder.place), fake_mode, state:
        with enable_python_dispatcher(), recorder:
            out = module(*inputs[0], **inputs[1])
        recorder.finish(drawn)
        packed.refuse(out, "the model returns")
        recorder.settle_sizes()
    escape.returned(recorder.root)
    texts = calls.entered(recorder.root.args)
    return Trace(
        recorder.root,
        recorder.names,
        sizes.expressions,
        sizes.defined,
        recorder.held,
        sizes.inputs,
        sizes.constants(texts),
        sizes.conditions(texts),
        sizes.like_the_example(),
    )


def _drawn() -> tuple[Any, ...]:
    """How far Python's and NumPy's own random numbers have gone."""
    numbers = np.random.get_state(legacy=False)["state"]
    return random.getstate(), numbers["key"].tobytes(), numbers["pos"]


class _Recorder(TorchFunctionMode):
    def __init__(self, module: torch.nn.Module, fake_mode: FakeTensorMode, sizes: Sizes):
        super().__init__()
        self.fake_mode, self.sizes = fake_mode, sizes
        self.stack: list[Inst] = []
        self.root: Any = None
        self.lengths: torch.Tensor | None = None  # of the sequences that a recurrent network is given
        self.quiet = 0
        self.refused: PortError | None = None
        self.inside = False  # of a function of torch's
        self.alive: list[Any] = []  # so that an id is one object's for the whole trace
        self.vals: dict[int, Val] = {}
        self.stale: set[int] = set()  # what they are a view of was changed
        self.lost: set[int] = set()  # what was changed is not known
        self.views: dict[int, tuple[torch.Tensor, str, tuple[Any, ...], dict[str, Any]]] = {}
        self.fakes: dict[int, torch.Tensor] = {}
        self.names: dict[tuple[int, str], str] = {}  # of sizes
        self.dtypes, self.frames = Dtypes(), Frames()
        self.every: list[Val] = []
        self.paths = {id(part): path for path, part in module.named_modules()}
        self.held: dict[str, tuple[str, torch.Tensor]] = {}
        self.attributes = {
            id(value): f"{path}.{name}" if path else name
            for path, part in module.named_modules()
            for name, value in vars(part).items()
            if isinstance(value, torch.Tensor)
        }
        self.state = self._faked_state(module)

    # what the model holds

    def _faked_state(self, module: torch.nn.Module) -> dict[str, torch.Tensor]:
        state = {}
        for kind, named in (
            ("param", module.named_parameters(remove_duplicate=False)),
            ("buffer", module.named_buffers(remove_duplicate=False)),
        ):
            for path, tensor in named:
                calls.refuse_tensor(tensor, path)
                if id(tensor) not in self.fakes:
                    self._hold(tensor, kind, path)
                state[path] = self.fakes[id(tensor)]
        return state

    def _hold(self, tensor: torch.Tensor, kind: str, path: str) -> torch.Tensor:
        fake: torch.Tensor = self.fake_mode.from_tensor(tensor.detach(), static_shapes=True)
        if kind == "constant" and tensor.numel() <= MOST_CONSTANT:
            calls.keep_numbers(self.fake_mode, fake, tensor)
        if isinstance(tensor, torch.nn.Parameter):
            fake = torch.nn.Parameter(fake, tensor.requires_grad)
        self.fakes[id(tensor)] = fake
        self.held[path] = kind, tensor
        self.alive.append(tensor)
        self.bind(fake, kind, path)
        return fake

    def faked(self, tensor: torch.Tensor, dynamic: Dims, raised: Dims) -> torch.Tensor:
        """An input without numbers; its sizes are symbols."""
        calls.refuse_tensor(tensor, "an input")
        like = tensor.detach()
        sizes = [2 if n == 1 and i in dynamic and i in raised else n for i, n in enumerate(like.shape)]
        like = like if sizes == list(like.shape) else like.expand(sizes).contiguous()
        context: Any = None
        if any(i in dynamic for i in range(tensor.ndim)):
            kinds = [DimDynamic.DYNAMIC if i in dynamic else DimDynamic.STATIC for i in range(tensor.ndim)]
            context = StatelessSymbolicContext(dynamic_sizes=kinds)
        fake: torch.Tensor = self.fake_mode.from_tensor(like, symbolic_context=context, static_shapes=context is None)
        fake = fake.requires_grad_(tensor.requires_grad)
        self.sizes.enter(self.bind(fake), tuple(tensor.shape), dynamic, raised)
        return fake

    def _constant(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor that the model holds as neither parameter nor buffer."""
        if id(tensor) not in self.fakes:
            path = self.attributes.get(id(tensor)) or f"constant_{len(self.held)}"
            self._hold(tensor, "constant", path)
        return self.fakes[id(tensor)]

    def refusal(self, error: PortError) -> PortError:
        """The error, kept in mind: a model may catch it, and what it does then is another program."""
        self.refused = self.refused or error
        return error

    def finish(self, drawn: tuple[Any, ...]) -> None:
        """An error if something was refused on the way, also where the model went on; drawn: as it was before."""
        if self.refused is not None:
            raise self.refused
        if drawn != _drawn():
            raise PortError(
                "the model draws from Python's or NumPy's random numbers, which would be the same ones ever after; "
                "draw with torch.rand, and choose with torch.where"
            )

    # values

    def settle_sizes(self) -> None:
        """Sizes as they turned out to be, everywhere."""
        number = self.sizes.settled()
        for val in self.every:
            val.shape = tuple(number(size) for size in val.shape)
        calls.rewrite(self.root, number)
        self.names = {
            (scope, size.text): name
            for (scope, text), name in self.names.items()
            if isinstance(size := number(Sym(text)), Sym)
        }

    def bind(self, tensor: torch.Tensor, kind: str = "value", path: str = "", names: Any = ()) -> Val:
        shape = tuple(self.sizes.of(size) for size in tensor.shape)
        val = Val(shape, str(tensor.dtype).removeprefix("torch."), kind, path, dict(names))
        self.alive.append(tensor)
        self.every.append(val)
        self.vals[id(tensor)] = val
        self.stale.discard(id(tensor))
        return val

    def val(self, tensor: torch.Tensor, where: Where) -> Val:
        lost = id(tensor) in self.lost
        if id(tensor) in self.stale and id(tensor) in self.views and not lost:  # the same view of what is there now
            base, kind, args, kwargs = self.views[id(tensor)]
            self._assign(tensor, self.op(kind, (self.val(base, where), *args), kwargs, None, where), where)
        if lost or id(tensor) in self.stale:
            raise PortError(
                f"{self._place(where)}: a tensor is used after a view of it, or what it is a view of, was changed in "
                "place; change a copy, or use the value that the in-place call returns"
            )
        return self.vals[id(tensor)] if id(tensor) in self.vals else self.bind(tensor)

    def frozen(self, structure: Any, where: Where) -> Any:
        """The structure with a Val for each tensor and a Sym for each symbolic number."""

        def leaf(value: Any) -> Any:
            if isinstance(value, torch.Tensor):
                return self.val(value, where)
            value = calls.plain(value)
            if isinstance(value, PLAIN | list) or value is None or value is Ellipsis:
                return value
            if is_dataclass(value) and not isinstance(value, type):
                return self.frozen({part.name: getattr(value, part.name) for part in fields(value)}, where)
            return self.sizes.given_as(value) if isinstance(value, SYMBOLIC) else Opaque(type(value).__name__)

        return mapped(leaf, structure)

    def place(self) -> str:
        """Where in the user's code the model is."""
        return self._place(calls.where(self._user_frame()))

    def _place(self, where: Where) -> str:
        path = self.stack[-1].path if self.stack else ""
        kind = self.stack[-1].kind.__name__ if self.stack else "the model"
        return f"{where}, in {path or 'the model itself'} ({kind})"

    # calls of torch's functions

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            return self._called(func, args, kwargs or {})
        except PortError as error:
            raise self.refusal(error) from error.__cause__

    def _called(self, func: Any, args: Any, kwargs: Any) -> Any:
        name = api_name(func)
        if self.quiet or not self.stack or name in calls.SILENT:
            return func(*args, **kwargs)
        frame = self._user_frame()
        self._note_names(frame)
        where = calls.where(frame)
        if name == "dtype" and id(args[0]) in self.vals:
            self.dtypes.note(frame, self.vals[id(args[0])])
        if torch._C._functorch.peek_interpreter_stack() is not None:
            raise PortError(f"{self._place(where)}: torch.func is not ported; port what it is given, and use jax's own")
        if torch.is_autocast_enabled("cpu"):
            raise PortError(f"{self._place(where)}: autocast is not ported; cast explicitly with .to(torch.bfloat16)")
        if name in calls.VALUES_NEEDED:
            numbers = calls.constant(args[0])
            if numbers is not None and name != "nonzero":
                with no_dispatch():
                    return func(numbers, *args[1:], **kwargs)
            raise PortError(f"{self._place(where)}: {name}() needs a tensor's numbers, which a traced program has not")
        if name == "__getitem__":
            args = calls.changed_in(calls.chosen, args)
        args, kwargs = calls.changed_in(self._known, (args, kwargs))
        args, kwargs = calls.known_bounds((args, kwargs), lambda: self._place(where))
        before = self.frozen((args, kwargs), where)
        if name in calls.TURNED and not isinstance(args[-1], torch.Tensor) and turned(frame):
            name = calls.TURNED[name]
        if calls.functional(name) == "squeeze":
            self.sizes.keep(args[0] if args else kwargs["input"], (args[1:], kwargs.get("dim", ())))
        if dtypes := {leaf for leaf in leaves((args, kwargs)) if isinstance(leaf, torch.dtype)}:
            before = before[0], before[1] | self.dtypes.named(frame, dtypes)
        if name in RECURRENT and self.lengths is not None:
            before = before[0], before[1] | {"lengths": self.val(self.lengths, where)}
        tensors = [leaf for leaf in leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        versions = [tensor._version for tensor in tensors]
        if row_of(calls.functional(name)) is None and not name.endswith("__set__"):
            return self._record_parts(name, func, (args, kwargs), before, where)
        self.inside = True
        with self._told(where, name), self.sizes.env.unasked(calls.counted(name, args, kwargs)):
            out = calls.SHAPES.get(name, func)(*args, **kwargs)
        self.inside = False
        changed = [t for t, version in zip(tensors, versions, strict=True) if t._version != version]
        changed = [t for t in changed if id(t) == id(tensors[0])] or changed[:1]
        if name in calls.UPDATES and calls.running(before):
            out = norms.updated(self, name, before, out, args, kwargs, where)
        elif changed:
            if isinstance(out, torch.Tensor) and out is not changed[0]:
                raise PortError(f"{self._place(where)}: {name} changes one of its arguments in place; pass a copy")
            if name != "__setitem__" or not views.put_back(self.views.get(id(args[2])), args[0], before[0][1]):
                self._record_change(name, before, changed[0], where)
        elif any(isinstance(leaf, torch.Tensor) for leaf in leaves(out)):
            out = self._record(name, args, before, out, tensors, where)
        return out

    def _record_parts(self, name: str, func: Any, given: Any, before: Any, where: Where) -> Any:
        """A call that has no row, as what torch makes of it; as itself where a part has none either."""

        def part(name: str, func: Any, args: Any, kwargs: Any) -> Any:
            args, kwargs = calls.changed_in(self._known, (args, kwargs))
            frozen = self.frozen((args, kwargs), where)
            out, changed = func(*args, **kwargs), parts.changed(func, args, kwargs)
            if changed:
                self._record_change(name, frozen, changed[0], where)
                return out
            tensors = [leaf for leaf in leaves(args) if isinstance(leaf, torch.Tensor)]
            return self._record(name, args, frozen, out, tensors, where)

        body = self.stack[-1].body
        begin = len(body)
        with self._told(where, name), torch._C._AutoDispatchBelowAutograd(), parts.Parts(part) as mode:
            out = func(*given[0], **given[1])
        if mode.missing:
            del body[begin:]
            body.append(
                self.op(f"{name} ({', '.join(dict.fromkeys(mode.missing))})", before[0], before[1], None, where)
            )
        return out

    def _known(self, leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor) and not isinstance(leaf, FakeTensor) and id(leaf) not in self.vals:
            return self._constant(leaf)
        return leaf

    def _record(self, name: str, args: Any, before: Any, out: Any, tensors: list[Any], where: Where) -> Any:
        if isinstance(out, torch.Tensor) and any(out is tensor for tensor in tensors):
            self.quiet += 1
            base, out = out, torch.ops.aten.alias.default(out)
            self.quiet -= 1
            self.views[id(out)] = base, "alias", (), {}
        else:
            out = calls.changed_in(self.sizes.shortened, out)
            if isinstance(out, torch.Tensor) and tensors and storage(out) == storage(tensors[0]):
                self.views[id(out)] = tensors[0], name, before[0][1:], before[1]
        for leaf in leaves(out):
            if isinstance(leaf, torch.Tensor):
                self.bind(leaf)
        outs = self.frozen(out, where)
        if name == "zeros":
            outs.zeros = True
        self.stack[-1].body.append(self.op(name, before[0], before[1], outs, where))
        return out

    def op(self, name: str, args: Any, kwargs: Any, outs: Any, where: Where) -> Op:
        kwargs = {key: value for key, value in kwargs.items() if key not in ("inplace", "out")}
        return Op(name, args, kwargs, outs, where, self.stack[-1].path, not torch.is_grad_enabled())

    def _record_change(self, name: str, before: Any, tensor: torch.Tensor, where: Where) -> None:
        """An in-place call: the same tensor is another value from here on, and so is what it is a view of."""
        kind = calls.functional(name)
        op = self.op(kind, before[0], before[1], None, where)
        if kind in calls.OF_SHAPE:  # what it is a view of stays as it is
            self.views.pop(id(tensor), None)
            self._assign(tensor, op, where)
        else:
            self._rebind(tensor, op, where)

    def _rebind(self, tensor: torch.Tensor, op: Op, where: Where) -> None:
        """A tensor's new value, and that of all that it is a view of; other views of it are made anew when used."""
        shared = {id(t) for t in self.alive if isinstance(t, FakeTensor) and storage(t) == storage(tensor)}
        self._assign(tensor, op, where)
        shared.discard(id(tensor))
        while id(tensor) in self.views:
            base, kind, args, kwargs = self.views[id(tensor)]
            written = views.written_back(kind, self.val(base, where), self.vals[id(tensor)], args, kwargs)
            if written is None:
                self.lost |= shared
                break
            self._assign(base, self.op(*written, {}, None, where), where)
            shared.discard(id(base))
            tensor = base
        self.stale |= {t for t in shared if t in self.vals}

    def _assign(self, tensor: torch.Tensor, op: Op, where: Where) -> None:
        old = self.vals[id(tensor)]
        leaves_ = said(where).lstrip().startswith("return ")
        op.outs = new = self.bind(tensor, names={s: Lent(n) if leaves_ else n for s, n in old.names.items()})
        self.stack[-1].body.append(op)
        if old.kind in ("param", "constant"):
            raise PortError(f"{self._place(where)}: {old.path!r} is changed in place; only buffers can be")
        if old.path:
            self.write(old.path, new)

    def write(self, path: str, val: Val) -> None:
        """A buffer's new value, which leaves the module that was called last."""
        val.path = path
        self.stack[-1].writes[path] = val

    @contextmanager
    def _told(self, where: Where, name: str) -> Iterator[None]:
        try:
            yield
        except (*calls.DATA_DEPENDENT, RuntimeError) as error:
            if not isinstance(error, calls.DATA_DEPENDENT) and "data is not allocated" not in str(error):
                error.add_note(f"This is what torch says of {name} at {self._place(where)}.")
                raise
            raise PortError(
                f"{self._place(where)}: {name} depends on a tensor's numbers, which a traced program has not; "
                "use torch.where, a mask, or a fixed size"
            ) from error

    # calls of modules

    def call(self, original: Callable[..., Any], module: torch.nn.Module, args: Any, kwargs: Any) -> Any:
        """A module's call, recorded with all that happens inside."""
        if self.quiet or (not self.stack and id(module) not in self.paths):
            return original(module, *args, **kwargs)
        frame = self._user_frame()
        where = calls.where(frame)
        self._note_names(frame)
        args, kwargs = calls.changed_in(self._known, (args, kwargs))
        given = self.frozen(calls.bound(module, args, kwargs), where)
        inst = Inst(self.paths.get(id(module), ""), type(module), module, given, where)
        if self.stack:
            self.stack[-1].body.append(inst)
        else:
            self.root = inst
        self.stack.append(inst)
        for name, value in given.items():
            if isinstance(value, Val):
                value.names.setdefault(id(inst), name)
        try:
            if type(module) in NORMS and module.track_running_stats and module.running_mean is not None:
                out = norms.call(self, original, module, args, kwargs, where)
            elif isinstance(module, torch.nn.RNNBase) and args and isinstance(args[0], packed.Padded):
                out = packed.call(self, original, module, args, kwargs)
            else:
                out = original(module, *args, **kwargs)
            out = calls.changed_in(self._known, out)
            inst.outs = self.frozen(out, where)
            self._note_reassigned(module)
        finally:
            self.stack.pop()
        if self.stack:
            self._note_names(frame)
            self._note_attributes(module, (inst, self._owner()))
        return out

    def _note_reassigned(self, module: torch.nn.Module) -> None:
        """Buffers that were given another tensor, as in `self.mean = 0.9 * self.mean + …`."""
        for name, tensor in module.named_buffers(recurse=False):
            path = ".".join(filter(None, (self.stack[-1].path, name)))
            val = self.vals.get(id(tensor))
            if val is not None and val.kind == "value" and val.path != path:
                self.write(path, val)

    def _note_attributes(self, module: torch.nn.Module, scopes: tuple[Inst, ...]) -> None:
        """What a module keeps of a call, as in `self.mean = x.mean()`, is called as it calls that."""
        for name, tensor in vars(module).items():
            val = self.vals.get(id(tensor))
            if val is not None and val.kind == "value":
                for scope in scopes:
                    frames.name(val, id(scope), name)

    # where the user's code is, and what it calls things

    def _user_frame(self) -> FrameType | None:
        begin = forward(self._owner().kind) if self.stack else None
        frame = sys._getframe(2)
        while frame is not None:
            file = frame.f_code.co_filename
            if frame.f_code is begin:
                return frame
            if file.startswith(HERE):
                if frame.f_code is trace.__code__:
                    return None
            elif not file.startswith(PASSED_OVER):
                return frame
            frame = frame.f_back  # type: ignore[assignment]
        return None

    def _owner(self) -> Inst:
        """The module call whose function the current code will stand in."""
        return next((inst for inst in reversed(self.stack) if not of_torch(inst.kind)), self.stack[0])

    def _note_names(self, frame: FrameType | None) -> None:
        if frame is None or not self.stack or frame.f_code.co_name.startswith("<"):
            return
        owner = self._owner()
        for name, value in self.frames.variables(frame, forward(owner.kind)):
            if isinstance(value, torch.Tensor) and id(value) in self.vals:
                frames.name(self.vals[id(value)], id(owner), name)
            elif isinstance(value, torch.SymInt) and isinstance(size := self.sizes.of(value), Sym):
                self.names.setdefault((id(owner), size.text), name)
