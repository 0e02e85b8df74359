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


def res_net(params, buffers, x, *, train=False):  # gallery.resnet18.torch_model.ResNet
    x = F.conv2d(x, **params["conv1"], stride=2, padding=3)
    x, bn1 = F.batch_norm_tracked(x, buffers["bn1"], **params["bn1"], training=train)
    x = F.max_pool2d(F.relu(x), 3, stride=2, padding=1)
    x, layer1_0 = basic_block(params["layer1"]["0"], buffers["layer1"]["0"], x, train=train)
    x, layer1_1 = basic_block(params["layer1"]["1"], buffers["layer1"]["1"], x, train=train)
    x, layer2_0 = basic_block_downsample(params["layer2"]["0"], buffers["layer2"]["0"], x, train=train)
    x, layer2_1 = basic_block(params["layer2"]["1"], buffers["layer2"]["1"], x, train=train)
    x, layer3_0 = basic_block_downsample(params["layer3"]["0"], buffers["layer3"]["0"], x, train=train)
    x, layer3_1 = basic_block(params["layer3"]["1"], buffers["layer3"]["1"], x, train=train)
    x, layer4_0 = basic_block_downsample(params["layer4"]["0"], buffers["layer4"]["0"], x, train=train)
    x, layer4_1 = basic_block(params["layer4"]["1"], buffers["layer4"]["1"], x, train=train)
    x = F.adaptive_avg_pool2d(x, 1).reshape(x.shape[0], -1)
    return F.linear(x, **params["fc"]), {
        "bn1": bn1,
        "layer1": {"0": layer1_0, "1": layer1_1},
        "layer2": {"0": layer2_0, "1": layer2_1},
        "layer3": {"0": layer3_0, "1": layer3_1},
        "layer4": {"0": layer4_0, "1": layer4_1},
    }


def apply(params, buffers, x, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    return res_net(params, buffers, x, train=train)
