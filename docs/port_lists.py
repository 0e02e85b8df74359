"""Writes the lists at the end of `docs/port.md` from `fnlearn.port.unported`: `python docs/port_lists.py`."""

from pathlib import Path

from fnlearn.port.unported import CORE_UNPORTED, GRADIENTS_DIFFER, UNPORTED

PAGE = Path(__file__).with_name("port.md")
START = "Of torch's own database of operations these have no port:\n"


def page() -> str:
    """The whole page, with the lists as they are."""
    kept = PAGE.read_text(encoding="utf-8").partition(START)[0]
    core = "Of the core operations that other calls are taken apart into, these have no row:\n"
    differ = "These give torch's numbers, and other gradients:\n"
    return f"{kept}{START}\n{_list(UNPORTED)}\n{core}\n{_list(CORE_UNPORTED)}\n{differ}\n{_list(GRADIENTS_DIFFER)}"


def _list(reasons: dict[str, str]) -> str:
    """A line for each reason, with all it holds of."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(f"`{name}`")
    return "".join(f"- {', '.join(sorted(found))}: {reason}\n" for reason, found in names.items())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
