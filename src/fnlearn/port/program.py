"""The whole text: one function for each kind of module, callees first, and `apply` at the end."""

import ast
import copy
import linecache
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from ruff.__main__ import find_ruff_bin  # type: ignore[import-untyped]

from fnlearn.port.calls import entered, leaves
from fnlearn.port.errors import PortError
from fnlearn.port.expression import node
from fnlearn.port.function import build
from fnlearn.port.graph import Inst, Sym, Val, Where, inlined, tracked, values
from fnlearn.port.merge import Fork, operations
from fnlearn.port.model import Function, Model
from fnlearn.port.names import comment, identifier, snake_case
from fnlearn.port.ops import row_of
from fnlearn.port.sizes import Condition
from fnlearn.port.source import comments, start
from fnlearn.port.table import Dtype
from fnlearn.port.traced import Trace

__all__ = ["formatted", "imported", "literal", "program"]

SIZE = re.compile(r"(?<![\w\]])[a-zA-Z_]\w*\.shape(?:\[\d+:?\])?")  # of an input that is an argument itself
LONGEST_LITERAL = 64  # numbers
MANY = 3  # arguments, which are checked together
NO_KEY = "the model draws random numbers: pass a key, as in key=jax.random.key(0)"
WIDEST = 120  # characters of a line
IMPORTS = {"jax": "import jax\n", "jnp": "import jax.numpy as jnp\n", "F": "\nimport fnlearn.functional as F\n"}


def program(
    root: Inst,
    trace: Trace,
    sizes: dict[tuple[int, str], str],
    expressions: dict[str, Any],
    defined: dict[str, Any],
    conditions: Mapping[Condition, str],
    scan: float,
    no_training: str = "",
    drawing: str | None = None,
) -> tuple[str, tuple[str, ...]]:
    """The source of a model, as it was recorded, and the containers whose layers may be stored stacked.

    conditions: what inputs are refused for, each with the mode in which they are. scan: how many equal blocks become a
    loop. no_training: why it has no training mode, where it has none. drawing: the mode in which it draws.
    """
    _refuse_missing(root)
    params = [path for path, (kind, _) in trace.held.items() if kind == "param"]
    buffers = [path for path, (kind, _) in trace.held.items() if kind != "param"]
    literals = _literals(trace)
    buffers = [path for path in buffers if path not in literals]
    names = {path: name for path, (name, _) in literals.items()}
    laid_out = {ast.unparse(ast.parse(text, mode="eval")): text for text in expressions}
    model = Model(sizes, expressions, defined, laid_out, _roots(root), params, buffers, names, scan)
    functions: list[Function] = []
    written: dict[str, Function] = {}
    for level in _levels(root):
        built = [build(inst, model) for inst in level]
        groups: dict[str, list[Function]] = {}
        for function in built:
            groups.setdefault(_form(function), []).append(function)
            model.functions[id(function.inst)] = function
        for group in groups.values():
            _share(group)
            # what is left out as a default may have been all that two functions, without a name yet, differ in
            alike = written.setdefault(_text(group[0]), group[0])
            if alike is group[0]:
                functions.append(alike)
                alike.name = _free_name(alike, functions)
            for function in group:
                function.name = alike.name
    texts = [_text(function) for function in functions]
    constants = "\n".join(f"{name} = {text}" for name, text in literals.values())
    body = "\n\n".join([constants, *texts, _apply(functions[-1], no_training, drawing, conditions)])
    used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    opened = {*model.opened, *(("", path) for _, path in model.trees)}
    stacked = tuple(path for path in sorted(model.stacked) if not _opened(path, opened))
    return formatted("".join(text for name, text in IMPORTS.items() if name in used) + "\n\n" + body), stacked


def _opened(container: str, used: set[tuple[str, str]]) -> bool:
    """Whether a single layer of a container is used by anything but the layers themselves."""
    inside = f"{container}." if container else ""
    return any(path.startswith(inside) and path and not base.startswith(inside or base) for base, path in used)


def literal(kind: str, tensor: torch.Tensor) -> bool:
    """Whether a tensor that a model holds stands in the text: a short one that is neither parameter nor buffer."""
    return kind == "constant" and tensor.numel() <= LONGEST_LITERAL and not tensor.is_complex()


def _literals(trace: Trace) -> dict[str, tuple[str, str]]:
    """The name and the text of each short constant, by its path."""
    found: dict[str, tuple[str, str]] = {}
    for path, (kind, tensor) in trace.held.items():
        if literal(kind, tensor):
            base = identifier(path.rpartition(".")[2]).upper().strip("_") or "CONSTANT"
            base = base if base[0].isalpha() else f"CONSTANT_{base}"
            taken = {name for name, _ in found.values()} | {"F"}
            name, i = base, 1
            while name in taken:
                name, i = f"{base}_{i}", i + 1
            numbers = ast.unparse(node(tensor.tolist()))
            found[path] = name, f"jnp.array({numbers}, {ast.unparse(node(Dtype(str(tensor.dtype)[6:])))})"
    return found


def _refuse_missing(root: Inst) -> None:
    """One error for all calls that have no row in the table of operations."""
    calls = list(operations(root))
    missing = [op for op in calls if row_of(op.name) is None]
    if missing:
        told = dict.fromkeys(f"{op.name} at {op.where}, in {op.module or 'the model itself'}" for op in missing)
        raise PortError(
            f"{len(calls) - len(missing)} of {len(calls)} calls can be ported; for these there is no JAX expression "
            "(see docs/port.md for what to use instead):\n  " + "\n  ".join(told)
        )


def _levels(root: Inst) -> list[list[Inst]]:
    """The calls that are functions of their own, those that call none of the others first."""
    levels: dict[int, list[Inst]] = {}

    def height(inst: Inst) -> int:
        below = max((height(i) for i in _called(inst.body)), default=-1) + 1
        levels.setdefault(below, []).append(inst)
        return below

    height(root)
    return [levels[key] for key in sorted(levels)]


def _called(body: list[Any]) -> Iterator[Inst]:
    for call in body:
        if isinstance(call, Fork):
            yield from _called(call.train.body)
            yield from _called(call.evaluation.body)
        elif isinstance(call, Inst):
            if inlined(call):
                yield from _called(call.body)
            elif not tracked(call):
                yield call


def _roots(root: Inst) -> dict[str, tuple[Val, int]]:
    found: dict[str, tuple[Val, int]] = {}
    for val in values(root.args):
        if isinstance(val, Val):
            for i, size in enumerate(val.shape):
                if isinstance(size, Sym):
                    found.setdefault(size.text, (val, i))
    return found


# one function for several modules


def _form(function: Function) -> str:
    """What the functions of equal modules have in common: everything but numbers."""
    abstract = [ast.dump(_Abstract().visit(copy.deepcopy(line))) for line, _ in function.lines]
    names = [name for name, _ in (*function.arguments, *function.foreign)]
    return repr((function.inst.kind, names, function.params, function.buffers, function.writes, abstract))


class _Abstract(ast.NodeTransformer):
    def visit_Constant(self, constant: ast.Constant) -> ast.expr:
        return constant if isinstance(constant.value, str) else ast.Constant("·")


def _share(group: list[Function]) -> None:
    """The constants in which the functions of a group differ become keyword arguments."""
    found = [list(_constants(function)) for function in group]
    taken: dict[str, tuple[Any, ...]] = {}
    used = {"train", "key", *(name for name, _ in (*group[0].arguments, *group[0].foreign))}
    used |= {n.id for function in group for line, _ in function.lines for n in ast.walk(line) if hasattr(n, "id")}
    for places in zip(*found, strict=True):
        different = tuple(_key(constant) for constant, _ in places)
        if len(set(different)) == 1:
            continue
        base = identifier(places[0][1] or _attribute(group, [constant.value for constant, _ in places]) or "size")
        name, i = base, 1
        while name in used or taken.get(name, different) != different:
            i += 1
            name = f"{base}_{i}"
        taken[name] = different
        for function, (constant, _) in zip(group, places, strict=True):
            function.slots[name] = constant.value
            constant.slot = name
    for function in group:
        function.lines = [(_Slots().visit(line), where) for line, where in function.lines]


def _attribute(group: list[Function], numbers: list[Any]) -> str:
    """What the modules call the numbers in which they differ, if they keep them."""
    held = [vars(function.inst.module) for function in group]
    names = [name for name, value in held[0].items() if type(value) in (int, float)]
    same = (all(own.get(name) == n for own, n in zip(held, numbers, strict=True)) for name in names)
    return next((name for name, found in zip(names, same, strict=True) if found), "")


def _key(constant: ast.Constant) -> tuple[str, str]:
    return type(constant.value).__name__, repr(constant.value)


def _constants(function: Function) -> Iterator[tuple[ast.Constant, str]]:
    """The numbers of a function in order, each with the keyword that it is given by, or nothing."""

    def visit(tree: ast.AST, name: str) -> Iterator[tuple[ast.Constant, str]]:
        if isinstance(tree, ast.Constant):
            if not isinstance(tree.value, str):
                yield tree, name
            return
        if isinstance(tree, ast.keyword):
            yield from visit(tree.value, tree.arg or name)
            return
        for child in ast.iter_child_nodes(tree):
            yield from visit(child, name)

    for line, _ in function.lines:
        yield from visit(line, "")


class _Slots(ast.NodeTransformer):
    """Constants by the names of their slots; what is the default anyway is left out."""

    def visit_keyword(self, keyword: ast.keyword) -> ast.keyword | None:
        if getattr(keyword, "default", False) and not any(hasattr(n, "slot") for n in ast.walk(keyword.value)):
            return None
        return self.generic_visit(keyword)  # type: ignore[return-value]

    def visit_Constant(self, constant: ast.Constant) -> ast.expr:
        return ast.Name(constant.slot, ast.Load()) if hasattr(constant, "slot") else constant


def _free_name(function: Function, functions: list[Function]) -> str:
    base = _base(function.inst)
    taken = {other.name for other in functions if other is not function} | {"apply"}
    if base not in taken:
        return base
    own = _child_names(function)
    for other in functions:
        if other.name == base:
            differing = [name for name in own if name not in _child_names(other)]
            if differing and (name := f"{base}_{identifier(differing[0])}") not in taken:
                return name
    i = 2
    while f"{base}_{i}" in taken:
        i += 1
    return f"{base}_{i}"


def _base(inst: Inst) -> str:
    """The name of a module's class; of a Sequential, which says nothing, what the module that has it calls it."""
    if inst.kind is not torch.nn.Sequential or not inst.path:
        return snake_case(inst.kind.__name__)
    *above, name = inst.path.split(".")
    return identifier("_".join([*above[-1:], name]) if name.isdigit() else name.rstrip("0123456789_"))


def _child_names(function: Function) -> list[str]:
    return [name for name, _ in function.inst.module.named_children()]


# text


def _text(function: Function) -> str:
    kind = function.inst.kind
    lines = _commented(f"def {function.name}({_parameters(function)}):", f"# {comment(_origin(kind))}")
    seen: set[Where] = set()
    for line, where in function.lines:
        place = start(where)
        above, behind = comments(place) if place.file and place not in seen else ([], "")
        seen.add(place)
        text = _unparsed(line)
        lines += [f"    {said}" for said in above]
        first, *rest = text.split("\n")
        lines += _commented(f"    {first}", behind)
        lines += [f"    {part}" for part in rest]
    return "\n".join(lines)


def _commented(line: str, said: str) -> list[str]:
    """A line and what is said of it, behind it or, where that is too wide, above."""
    if len(f"{line}  {said}") <= WIDEST:
        return [f"{line}  {said}".rstrip()]
    indent = line[: len(line) - len(line.lstrip())]
    return [f"{indent}{said}", line] if said else [line]


def _origin(kind: type) -> str:
    """The class's full name; a file that was named on a command line is called as it is."""
    return f"{re.sub(r'^fnlearn_named_[0-9]+_', '', kind.__module__)}.{kind.__qualname__}"


def _unparsed(line: ast.stmt) -> str:
    if isinstance(line, ast.If):
        body = "\n".join(_unparsed(part) for part in line.body)
        return f"if {ast.unparse(line.test)}:\n" + textwrap.indent(body, "    ")
    if isinstance(line, ast.Return) and isinstance(line.value, ast.Tuple) and line.value.elts:
        alone = "," if len(line.value.elts) == 1 else ""
        return f"return {', '.join(ast.unparse(part) for part in line.value.elts)}{alone}"
    return ast.unparse(ast.fix_missing_locations(line))


def _parameters(function: Function) -> str:
    names = [name for name, there in (("params", function.params), ("buffers", function.buffers)) if there]
    names += [name for name, _ in (*function.arguments, *function.foreign)]
    keywords = [*function.slots]
    keywords += [text for text, there in (("train=False", function.train), ("key=None", function.key)) if there]
    return ", ".join([*names, *(["*", *keywords] if keywords else [])])


def _apply(root: Function, no_training: str, drawing: str | None, conditions: Mapping[Condition, str]) -> str:
    """The function that every port has: all it could need comes in, and the buffers come out."""
    signature, lines = ["params", "buffers"], []
    if no_training:
        lines = [
            "    if train:",
            f"        raise ValueError({'the model was ported for evaluation alone: ' + no_training!r})",
        ]
    if drawing is not None and root.key:
        lines += [f"    if {drawing}key is None:", f"        raise ValueError({NO_KEY!r})"]
    expressions = entered(root.inst.args)
    fixed = {}
    for name, value in root.inst.args.items():
        safe = identifier(name)
        if any(isinstance(v, Val) for v in values(value)):
            signature.append(safe)
        else:
            signature.append(f"{safe}={_default(value)}")
            if not isinstance(value, Sym):
                fixed[safe] = value
    lines += _fixed(fixed, root.inst.args)
    for condition, mode in conditions.items():
        lines += [f"    if {mode}{condition.fails}:", f"        raise ValueError({_unmet(condition)})"]
    call = [name for name, there in (("params", root.params), ("buffers", root.buffers)) if there]
    call += [expressions[id(val)] for _, val in (*root.arguments, *root.foreign)]
    call += [f"{name}={name}" for name, there in (("train", root.train), ("key", root.key)) if there]
    made = f"{root.name}({', '.join(call)})"
    result = f"    return {made}" if root.writes else f"    return {made}, buffers"
    head = f"def apply({', '.join(_ordered(signature))}, *, train=False, key=None):"
    doc = '    """The whole model: what it returns, and its buffers as they are afterwards."""'
    return "\n".join([head, doc, *lines, result])


def _fixed(given: dict[str, Any], arguments: Iterable[str]) -> list[str]:
    """The checks that arguments are what the model was ported with; one for many that are None, True or False."""
    own = {"name", "given", "ported"}
    plain = {name: value for name, value in given.items() if value is None or isinstance(value, bool)}
    lines = []
    if len(plain) >= MANY and not own & {identifier(name) for name in arguments}:
        table = ", ".join(f"({name!r}, {name}, {value})" for name, value in plain.items())
        lines = [
            f"    for name, given, ported in ({table}):",
            "        if given is not ported:",
            '            raise ValueError(f"the model was ported with {name}={ported}, got {given!r}")',
        ]
    for name, value in given.items():
        if not lines or name not in plain:
            said = f'f"the model was ported with {name}={_quoted(value)}, got {{{name}!r}}"'
            lines += [f"    if {_other(name, value)}:", f"        raise ValueError({said})"]
    return lines


def _unmet(condition: Condition) -> str:
    """What is said of sizes for which another program would have been recorded."""
    wanted, there = f"the model was ported for {condition.holds}", list(dict.fromkeys(SIZE.findall(condition.holds)))
    return f'f"{wanted}, got {", ".join(f"{{{size}}}" for size in there)}"' if there else repr(wanted)


def _ordered(signature: list[str]) -> list[str]:
    """Once one has a default, those after it have one too."""
    ordered: list[str] = []
    for name in signature:
        ordered.append(name if "=" in name or not any("=" in n for n in ordered) else f"{name}=None")
    return ordered


def _default(value: Any) -> str:
    return repr(value) if value is None or isinstance(value, bool | int | float | str) else "None"


def _other(name: str, value: Any) -> str:
    """The condition that an argument is neither what the model was ported with nor its default."""
    if _default(value) == "None" or isinstance(value, bool):
        plain = isinstance(value, list | tuple | dict) and all(type(part) in (str, int, bool) for part in leaves(value))
        keys = isinstance(value, dict) and not all(type(key) is str for key in value)
        more = f" and {name} != {value!r}" if plain and not keys else ""
        return f"{name} is not {_default(value)}{more}"
    return f"{name} != {value!r}"


def _quoted(value: Any) -> str:
    return repr(value).replace("{", "{{").replace("}", "}}").replace('"', "'").replace("\\", "")


def formatted(text: str) -> str:
    """The text as ruff lays it out."""
    done = subprocess.run(
        [find_ruff_bin(), "format", "--line-length", str(WIDEST), "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the source that was written is not Python: {done.stderr}\n{text}")
    return done.stdout


def imported(source: str, name: str, **modules: ModuleType) -> ModuleType:
    """The text as a module; its lines show in tracebacks. modules: what it imports by these names."""
    file = f"<{name}.py {id(source)}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    module = ModuleType(name)
    module.__file__ = file
    with mock.patch.dict(sys.modules, modules):
        exec(compile(source, file, "exec"), module.__dict__)
    return module
