import jax.numpy as jnp

import fnlearn.functional as F


def batch_norm2d(params, buffers, input, *, train=False):  # torch.nn.modules.batchnorm.BatchNorm2d
    num_batches_tracked = buffers["num_batches_tracked"] + train
    x, running_mean, running_var = F.batch_norm_update(
        input, buffers["running_mean"], buffers["running_var"], **params, training=train
    )
    return x, {"running_mean": running_mean, "running_var": running_var, "num_batches_tracked": num_batches_tracked}


def generator(params, buffers, noise, *, train=False):  # gallery.dcgan.torch_model.Generator
    x, main_1 = batch_norm2d(
        params["main"]["1"], buffers["main"]["1"], F.conv_transpose2d(noise, **params["main"]["0"]), train=train
    )
    x, main_4 = batch_norm2d(
        params["main"]["4"],
        buffers["main"]["4"],
        F.conv_transpose2d(F.relu(x), **params["main"]["3"], stride=2, padding=1),
        train=train,
    )
    return jnp.tanh(F.conv_transpose2d(F.relu(x), **params["main"]["6"], stride=2, padding=1)), {
        "main": {"1": main_1, "4": main_4}
    }


def discriminator(params, buffers, picture, *, train=False):  # gallery.dcgan.torch_model.Discriminator
    x, main_3 = batch_norm2d(
        params["main"]["3"],
        buffers["main"]["3"],
        F.conv2d(
            F.leaky_relu(F.conv2d(picture, **params["main"]["0"], stride=2, padding=1), negative_slope=0.2),
            **params["main"]["2"],
            stride=2,
            padding=1,
        ),
        train=train,
    )
    return F.conv2d(F.leaky_relu(x, negative_slope=0.2), **params["main"]["5"]).reshape(-1), {"main": {"3": main_3}}


def gan(params, buffers, noise, *, train=False):  # gallery.dcgan.torch_model.GAN
    fake, generator_1 = generator(params["generator"], buffers["generator"], noise, train=train)
    x, discriminator_1 = discriminator(params["discriminator"], buffers["discriminator"], fake, train=train)
    return (fake, x), {"generator": generator_1, "discriminator": discriminator_1}


def apply(params, buffers, noise, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    return gan(params, buffers, noise, train=train)
