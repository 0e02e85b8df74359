import jax.numpy as jnp

import fnlearn.functional as F


def generator(params, buffers, noise, *, train=False):  # gallery.dcgan.torch_model.Generator
    x = F.conv_transpose2d(noise, **params["main"]["0"])
    x, main_1 = F.batch_norm_tracked(x, buffers["main"]["1"], **params["main"]["1"], training=train)
    x = F.conv_transpose2d(F.relu(x), **params["main"]["3"], stride=2, padding=1)
    x, main_4 = F.batch_norm_tracked(x, buffers["main"]["4"], **params["main"]["4"], training=train)
    x = jnp.tanh(F.conv_transpose2d(F.relu(x), **params["main"]["6"], stride=2, padding=1))
    return x, {"main": {"1": main_1, "4": main_4}}


def discriminator(params, buffers, picture, *, train=False):  # gallery.dcgan.torch_model.Discriminator
    x = F.leaky_relu(F.conv2d(picture, **params["main"]["0"], stride=2, padding=1), negative_slope=0.2)
    x = F.conv2d(x, **params["main"]["2"], stride=2, padding=1)
    x, main_3 = F.batch_norm_tracked(x, buffers["main"]["3"], **params["main"]["3"], training=train)
    return F.conv2d(F.leaky_relu(x, negative_slope=0.2), **params["main"]["5"]).reshape(-1), {"main": {"3": main_3}}


def gan(params, buffers, noise, *, train=False):  # gallery.dcgan.torch_model.GAN
    fake, generator_1 = generator(params["generator"], buffers["generator"], noise, train=train)
    x, discriminator_1 = discriminator(params["discriminator"], buffers["discriminator"], fake, train=train)
    return (fake, x), {"generator": generator_1, "discriminator": discriminator_1}


def apply(params, buffers, noise, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    return gan(params, buffers, noise, train=train)
