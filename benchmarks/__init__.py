"""PyTorch eager, torch.compile and fnlearn on the same work, measured side by side."""
