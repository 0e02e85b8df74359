import jax.numpy as jnp

import fnlearn.functional as F


def double_conv(params, x):  # gallery.unet.torch_model.DoubleConv
    x = F.relu(F.conv2d(x, **params["conv1"], padding=1))
    return F.relu(F.conv2d(x, **params["conv2"], padding=1))


def u_net(params, x):  # gallery.unet.torch_model.UNet
    # the way down
    skip1 = double_conv(params["enter"], x)
    skip2 = double_conv(params["down1"], F.max_pool2d(skip1, 2, stride=2))
    x = double_conv(params["down2"], F.max_pool2d(skip2, 2, stride=2))
    # and up again, beside what was there on the way down
    x = jnp.concatenate([skip2, F.conv_transpose2d(x, **params["up2"], stride=2)], axis=1)
    x = double_conv(params["leave2"], x)
    x = jnp.concatenate([skip1, F.conv_transpose2d(x, **params["up1"], stride=2)], axis=1)
    x = double_conv(params["leave1"], x)
    return F.conv2d(x, **params["out"])


def apply(params, buffers, x, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    if x.shape[1] != 1:
        raise ValueError(f"the model was ported for x.shape[1] == 1, got {x.shape[1]}")
    return u_net(params, x), buffers
