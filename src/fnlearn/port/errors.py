"""What the porter says when it can't port."""

__all__ = ["PortError"]


class PortError(ValueError):
    """A model, or a part of it, that can't become JAX source.

    Args: message: the place in the model and in its source, and what to change.
    Raises: nothing.
    """

    def __init__(self, message: str):
        super().__init__(message)
