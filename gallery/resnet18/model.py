import fnlearn.functional as F


def basic_block(params, buffers, x, *, train=False):  # gallery.resnet18.torch_model.BasicBlock
    out = F.conv2d(x, **params["conv1"], padding=1)
    out, bn1 = F.batch_norm_tracked(out, buffers["bn1"], **params["bn1"], training=train)
    out = F.conv2d(F.relu(out), **params["conv2"], padding=1)
    out, bn2 = F.batch_norm_tracked(out, buffers["bn2"], **params["bn2"], training=train)
    out = out + x
    return F.relu(out), {"bn1": bn1, "bn2": bn2}


def basic_block_downsample(params, buffers, x, *, train=False):  # gallery.resnet18.torch_model.BasicBlock
    out = F.conv2d(x, **params["conv1"], stride=2, padding=1)
    out, bn1 = F.batch_norm_tracked(out, buffers["bn1"], **params["bn1"], training=train)
    out = F.conv2d(F.relu(out), **params["conv2"], padding=1)
    out, bn2 = F.batch_norm_tracked(out, buffers["bn2"], **params["bn2"], training=train)
    identity = F.conv2d(x, **params["downsample"]["0"], stride=2)
    identity, downsample_1 = F.batch_norm_tracked(
        identity, buffers["downsample"]["1"], **params["downsample"]["1"], training=train
    )
    out = out + identity
    return F.relu(out), {"bn1": bn1, "bn2": bn2, "downsample": {"1": downsample_1}}


def layer(params, buffers, x, *, train=False):  # torch.nn.modules.container.Sequential
    x, buffers_0 = basic_block(params["0"], buffers["0"], x, train=train)
    x, buffers_1 = basic_block(params["1"], buffers["1"], x, train=train)
    return x, {"0": buffers_0, "1": buffers_1}


def layer_2(params, buffers, x, *, train=False):  # torch.nn.modules.container.Sequential
    x, buffers_0 = basic_block_downsample(params["0"], buffers["0"], x, train=train)
    x, buffers_1 = basic_block(params["1"], buffers["1"], x, train=train)
    return x, {"0": buffers_0, "1": buffers_1}


def res_net(params, buffers, x, *, train=False):  # gallery.resnet18.torch_model.ResNet
    x = F.conv2d(x, **params["conv1"], stride=2, padding=3)
    x, bn1 = F.batch_norm_tracked(x, buffers["bn1"], **params["bn1"], training=train)
    x = F.max_pool2d(F.relu(x), 3, stride=2, padding=1)
    x, layer1 = layer(params["layer1"], buffers["layer1"], x, train=train)
    x, layer2 = layer_2(params["layer2"], buffers["layer2"], x, train=train)
    x, layer3 = layer_2(params["layer3"], buffers["layer3"], x, train=train)
    x, layer4 = layer_2(params["layer4"], buffers["layer4"], x, train=train)
    x = F.adaptive_avg_pool2d(x, 1).reshape(x.shape[0], -1)
    x = F.linear(x, **params["fc"])
    return x, {"bn1": bn1, "layer1": layer1, "layer2": layer2, "layer3": layer3, "layer4": layer4}


def apply(params, buffers, x, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    return res_net(params, buffers, x, train=train)
