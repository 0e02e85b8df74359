import fnlearn.functional as F


def mlp(params, x):  # gallery.mlp_mixer.torch_model.MLP
    return F.linear(F.gelu(F.linear(x, **params["fc1"])), **params["fc2"])


def mixer_block(params, x):  # gallery.mlp_mixer.torch_model.MixerBlock
    y = F.layer_norm(x, (8,), **params["norm1"]).swapaxes(1, 2)
    x = x + mlp(params["tokens"], y).swapaxes(1, 2)
    return x + mlp(params["channels"], F.layer_norm(x, (8,), **params["norm2"]))


def mixer(params, x):  # gallery.mlp_mixer.torch_model.Mixer
    x = F.conv2d(x, **params["stem"], stride=4).reshape(x.shape[0], 8, -1).swapaxes(1, 2)
    x = mixer_block(params["blocks"]["0"], x)
    x = mixer_block(params["blocks"]["1"], x)
    x = F.layer_norm(x, (8,), **params["norm"]).mean(axis=1)
    return F.linear(x, **params["head"])


def apply(params, buffers, x, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    return mixer(params, x), buffers
