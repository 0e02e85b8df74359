"""What a question is answered with."""

from typing import NamedTuple

from fnlearn.equivalence.compare import Leaf


class Answer(NamedTuple):
    """A plain record.

    Args: question: its name. leaves: a record for each pair of arrays that was compared. problems: what is wrong
        beside numbers. notes: what was left out, and why.
    Raises: nothing.
    """

    question: str
    leaves: tuple[Leaf, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all leaves are, and there is no problem."""
        return not self.problems and all(leaf.ok for leaf in self.leaves)

    @property
    def wrong(self) -> tuple[Leaf, ...]:
        """The leaves that differ, in their order."""
        return tuple(leaf for leaf in self.leaves if not leaf.ok)
