"""Lesson D's two bugs: when each of them shows, in PyTorch and in JAX."""
