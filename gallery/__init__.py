"""Models in PyTorch, and what the porter makes of them."""
