"""Names that are safe in the source, whatever a model calls its parts."""

import builtins
import keyword
import re

__all__ = ["comment", "identifier", "snake_case"]

WORD = re.compile(r"(?<=[a-zA-Z0-9])(?=[A-Z][a-z])|(?<=[a-z]{2}|.\d)(?=[A-Z]{2,}(?![a-z]))")  # where one begins
RESERVED = {"F", "buffers", "jax", "jnp", "key", "params", "train"}
BUILTINS = set(dir(builtins)) - {
    "input",
    "id",
    "hash",
    "filter",
    "map",
    "next",
    "iter",
    "vars",
    "dir",
    "format",
    "copyright",
    "credits",
    "license",
    "exit",
    "quit",
    "help",
}


def identifier(name: str) -> str:
    """The name as a Python identifier that hides nothing the source uses."""
    safe = re.sub(r"\W", "_", name, flags=re.ASCII)
    if not safe.strip("_"):
        return "_value"
    if safe[0].isdigit():
        safe = f"_{safe}"
    hidden = keyword.iskeyword(safe) or keyword.issoftkeyword(safe) or safe in RESERVED or safe in BUILTINS
    return f"{safe}_" if hidden else safe


def snake_case(name: str) -> str:
    """A class's name as that of a function."""
    return identifier(WORD.sub("_", name).lower())


def comment(text: str) -> str:
    """One line of text that stays a comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
