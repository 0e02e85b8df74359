"""The functions of `fnlearn.functional` that a text uses, written out, so that it needs JAX alone.

What is written is fnlearn's own source: each definition as it stands, comments and all, with those it needs before it.
Names that two modules have, or that the text has too, get their module's name in front.
"""

import ast
import builtins
import inspect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["with_functions"]

STREAM = ("fnlearn.random.generator", "TorchGenerator")  # torch's own random numbers, which stay with fnlearn
STUB = 'class {name}:\n    """Torch\'s stream of random numbers, which `fnlearn.random` has."""'
HEAD = "# What the model uses of fnlearn.functional: torch's functions for JAX.\n\n"

UNNAMED = "_"  # how a function is called that is known by its decorator alone

Id = tuple[str, str]  # a module's full name, and a name in it or the number of a statement


@dataclass(eq=False)
class Definition:
    """A statement at the head level of a module.

    id: its own, by the first of the names that it binds. eager, lazy: what must be there when it is run, and what when
    it is called. edits: where other names are put, as (line, start, end) in the module's text and the name's id.
    """

    id: Id
    tree: ast.stmt
    names: list[str] = field(default_factory=list)
    eager: set[Id] = field(default_factory=set)
    lazy: set[Id] = field(default_factory=set)
    edits: list[tuple[int, int, int, Id]] = field(default_factory=list)
    imports: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A module: its lines, its statements by name, those that add to another's, and what it imports."""

    name: str
    lines: list[str]
    definitions: dict[str, Definition]
    attached: dict[str, list[Definition]]
    internal: dict[str, Id | str]
    external: dict[str, str]


def with_functions(text: str) -> str:
    """A text that uses `fnlearn.functional` as F, with what it uses of it in front."""
    tree = ast.parse(text)
    wanted = sorted({n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and _is_f(n.value)})
    if not wanted:
        return text
    roots = [_resolved("fnlearn.functional", name) for name in wanted]
    needed = _closure(roots)
    taken = {name for n in ast.walk(tree) for name in _identifiers(n)}
    names = _names(needed, taken)
    parts, done = [], set[Id]()
    for definition in needed:
        parts += [_text(d, names) for d in _in_order(definition, done, {d.id: d for d in needed})]
    imports = {line for d in needed for line in d.imports.values()} | {"from types import SimpleNamespace"}
    own = [ast.unparse(n) for n in tree.body if isinstance(n, ast.Import) and n.names[0].asname != "F"]
    body = text.split("\n")
    first = next(n.lineno for n in tree.body if not isinstance(n, ast.Import | ast.ImportFrom))
    functions = ", ".join(f"{name}={names[root]}" for name, root in zip(wanted, roots, strict=True))
    head = "\n".join(sorted(imports | set(own), key=lambda line: (line.startswith("from"), line)))
    joined = "\n\n".join(parts)
    rest = "\n".join(body[first - 1 :])
    return f"{head}\n\n{HEAD}{joined}\n\nF = SimpleNamespace({functions})\n\n# The model.\n\n{rest}"


def _is_f(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "F"


def _identifiers(node: ast.AST) -> Iterator[str]:
    """The names that a piece of a program binds or reads."""
    fields = {ast.Name: "id", ast.arg: "arg", ast.FunctionDef: "name", ast.ClassDef: "name", ast.ExceptHandler: "name"}
    if type(node) in fields and getattr(node, fields[type(node)]):
        yield getattr(node, fields[type(node)])


# what is needed


def _closure(roots: list[Id]) -> list[Definition]:
    """All definitions that are needed, each once."""
    found: dict[Id, Definition] = {}
    todo = list(roots)
    while todo:
        one = todo.pop()
        if one in found or one == STREAM:
            continue
        module, name = one
        source = _source(module)
        definition = source.definitions[name]
        found[definition.id] = definition
        todo += [*definition.eager, *definition.lazy]
        for attached in source.attached.get(name, []):
            found[attached.id] = attached
            todo += [*attached.eager, *attached.lazy]
    if any(STREAM in (*d.eager, *d.lazy) for d in found.values()):
        tree = ast.parse("class TorchGenerator: ...").body[0]
        found[STREAM] = Definition(STREAM, tree, [STREAM[1]])
    return sorted(found.values(), key=lambda d: (d.id[0], d.tree.lineno))


def _in_order(definition: Definition, done: set[Id], of: dict[Id, Definition]) -> Iterator[Definition]:
    """A definition after those that it needs when it is run."""
    if definition.id in done:
        return
    done.add(definition.id)
    for needed in sorted(definition.eager):
        yield from _in_order(of[needed], done, of)
    yield definition


@cache
def _parsed(module: str) -> list[ast.stmt]:
    return ast.parse(inspect.getsource(import_module(module))).body


@cache
def _source(name: str) -> Source:
    module, statements = import_module(name), _parsed(name)
    source = Source(name, inspect.getsource(module).split("\n"), {}, {}, {}, {})
    for statement in statements:
        _import(statement, module, source)
    for number, statement in enumerate(statements):
        bound = [] if _bound(statement) == [UNNAMED] else _bound(statement)
        definition = Definition((name, bound[0] if bound else f"<{number}>"), statement, bound)
        source.definitions.update(dict.fromkeys(bound, definition))
        owner = _owner(statement, source)
        if owner:
            source.attached.setdefault(owner, []).append(definition)
    attached = [d for several in source.attached.values() for d in several]
    for definition in dict.fromkeys((*source.definitions.values(), *attached)):
        _References(source, definition).read()
    return source


def _bound(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return []
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name) and n.id != "__all__"]


def _owner(statement: ast.stmt, source: Source) -> str:
    """Whose derivative a statement adds: f of `@f.defjvp` and of `f.defvjp(…)`."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute) and node.attr in ("defjvp", "defvjp", "def_vmap"):
            owner = node.value
            inside = isinstance(statement, ast.Expr) or node in [
                n for d in getattr(statement, "decorator_list", []) for n in ast.walk(d)
            ]
            if isinstance(owner, ast.Name) and owner.id in source.definitions and inside:
                return owner.id
    return ""


def _import(statement: ast.stmt, module: ModuleType, source: Source) -> None:
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        return
    for alias in statement.names:
        bound = alias.asname or alias.name
        if isinstance(statement, ast.Import):
            source.external[bound] = ast.unparse(ast.Import([alias]))
        elif str(statement.module).startswith("fnlearn"):
            value = getattr(module, bound)
            inner = isinstance(value, ModuleType)
            source.internal[bound] = value.__name__ if inner else _resolved(str(statement.module), alias.name)
        else:
            source.external[bound] = ast.unparse(ast.ImportFrom(statement.module, [alias], 0))


def _resolved(module: str, name: str) -> Id:
    """Where a name is defined, through those modules that hand it on."""
    for statement in _parsed(module):
        if isinstance(statement, ast.ImportFrom) and str(statement.module).startswith("fnlearn"):
            for alias in statement.names:
                if (alias.asname or alias.name) == name:
                    return _resolved(str(statement.module), alias.name)
    return module, name


class _References(ast.NodeVisitor):
    """What a definition refers to outside of it: names that are no locals of its functions."""

    def __init__(self, source: Source, definition: Definition):
        self.source, self.definition = source, definition
        self.scopes: list[set[str]] = []
        self.called = 0  # how deep in functions' bodies

    def read(self) -> None:
        self.visit(self.definition.tree)

    def visit_Name(self, name: ast.Name) -> None:
        """A name that is read, or the definition's own."""
        if isinstance(name.ctx, ast.Load) or (name.id in self.definition.names and not self.scopes):
            self._refer(name.id, name)

    def visit_Attribute(self, attribute: ast.Attribute) -> None:
        inner = attribute.value
        if isinstance(inner, ast.Name) and not self._local(inner.id):
            module = self.source.internal.get(inner.id)
            if isinstance(module, str):
                self._edit(_resolved(module, attribute.attr), attribute)
                return
        self.generic_visit(attribute)

    def visit_FunctionDef(self, function: ast.FunctionDef) -> None:
        """A function: its defaults and annotations now, its body when it is called."""
        if function is self.definition.tree:
            line = function.lineno
            start = len(self.source.lines[line - 1].encode()[: function.col_offset]) + len("def ")
            self.definition.edits.append((line, start, start + len(function.name.encode()), self.definition.id))
        for part in (*function.decorator_list, *_defaults(function.args), *_annotations(function)):
            self.visit(part)
        self._inside(function.args, function.body)

    def visit_Lambda(self, function: ast.Lambda) -> None:
        for part in _defaults(function.args):
            self.visit(part)
        self._inside(function.args, [function.body])

    def visit_ClassDef(self, kind: ast.ClassDef) -> None:
        if kind is self.definition.tree:
            start = kind.col_offset + len("class ")
            self.definition.edits.append((kind.lineno, start, start + len(kind.name.encode()), self.definition.id))
        self.generic_visit(kind)

    def _comprehension(self, node: Any) -> None:
        self.scopes.append({n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)})
        self.generic_visit(node)
        self.scopes.pop()

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _inside(self, arguments: ast.arguments, body: list[Any]) -> None:
        self.scopes.append(_locals(arguments, body))
        self.called += 1
        for part in body:
            self.visit(part)
        self.called -= 1
        self.scopes.pop()

    def _local(self, name: str) -> bool:
        return any(name in scope for scope in self.scopes)

    def _refer(self, name: str, node: Any) -> None:
        if self._local(name):
            return
        if name in self.source.definitions:
            self._edit((self.source.name, name), node)
        elif name in self.source.internal:
            target = self.source.internal[name]
            assert not isinstance(target, str)
            self._edit(target, node)
        elif name in self.source.external:
            self.definition.imports[name] = self.source.external[name]
        elif not hasattr(builtins, name):
            raise NameError(f"{name!r} in {self.source.name} is defined nowhere")

    def _edit(self, target: Id, node: Any) -> None:
        first = _first(target)
        if first != self.definition.id:
            (self.definition.lazy if self.called else self.definition.eager).add(first)
        self.definition.edits.append((node.lineno, node.col_offset, node.end_col_offset, target))


def _first(target: Id) -> Id:
    """By what a definition is known, given one of the names that it binds."""
    module, name = target
    known = next((b for s in _parsed(module) if name in (b := _bound(s))), [name])
    return module, known[0]


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)]


def _annotations(function: ast.FunctionDef) -> list[ast.expr]:
    a = function.args
    every = [*a.posonlyargs, *a.args, *a.kwonlyargs, *(x for x in (a.vararg, a.kwarg) if x is not None)]
    return [n for n in (function.returns, *(x.annotation for x in every)) if n is not None]


def _locals(arguments: ast.arguments, body: list[Any]) -> set[str]:
    """The names that a function binds itself."""
    a = arguments
    found = {x.arg for x in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg) if x is not None}
    todo = list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        if isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif not isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            todo += list(ast.iter_child_nodes(node))
    return found


# names and text


def _names(needed: list[Definition], taken: set[str]) -> dict[Id, str]:
    """What each definition is called: as it is, or with its module's name where that is not its own."""
    every = [(d.id[0], name) for d in needed for name in d.names]
    inside = {name for d in needed for n in ast.walk(d.tree) for name in _identifiers(n)}
    several = [name for name, group in itertools.groupby(sorted(name for _, name in every)) if len(list(group)) > 1]
    through_module = {target for d in needed for *_, target in d.edits if _by_attribute(d, target)}
    names: dict[Id, str] = {d.id: UNNAMED for d in needed if not d.names}
    for module, name in every:
        own = name
        if name in taken or name in several or (module, name) in through_module:
            own = f"{module.rpartition('.')[2]}_{name.lstrip('_')}"
            own = f"_{own}" if name.startswith("_") else own
            while own in taken or own in inside or own in names.values():
                own += "_"
        names[module, name] = own
    return names


def _by_attribute(definition: Definition, target: Id) -> bool:
    """Whether a definition says `module.name`, so that a local may have that name."""
    return isinstance(_source(definition.id[0]).internal.get(target[0].rpartition(".")[2]), str) and any(
        end - start > len(target[1]) for _, start, end, other in definition.edits if other == target
    )


def _text(definition: Definition, names: dict[Id, str]) -> str:
    """A definition as it stands in its module, with the names it has here."""
    if definition.id == STREAM:
        return STUB.format(name=names[STREAM])
    source = _source(definition.id[0])
    tree = definition.tree
    first = min([tree.lineno, *(d.lineno for d in getattr(tree, "decorator_list", []))])
    lines = {i: source.lines[i - 1].encode() for i in range(first, (tree.end_lineno or tree.lineno) + 1)}
    for line, start, end, target in sorted(set(definition.edits), reverse=True):
        text = lines[line]
        lines[line] = text[:start] + names[target].encode() + text[end:]
    return b"\n".join(lines[i] for i in sorted(lines)).decode()
