"""What the porter says when it can't port."""

__all__ = ["PortError"]


class PortError(ValueError):
    """A model, or a part of it, that can't become JAX source; the message names the place and what to change."""
