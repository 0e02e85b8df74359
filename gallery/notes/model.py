import fnlearn.functional as F


def net(params, x):  # gallery.notes.torch_model.Net
    x = F.sigmoid(F.linear(x, **params["linear1"]))
    x = F.sigmoid(F.linear(x, **params["linear2"]))
    return F.sigmoid(F.linear(x, **params["linear3"]))


def apply(params, buffers, x, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    return net(params, x), buffers
