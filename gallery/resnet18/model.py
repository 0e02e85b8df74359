import fnlearn.functional as F


def batch_norm2d(params, buffers, input, *, train=False):  # torch.nn.modules.batchnorm.BatchNorm2d
    num_batches_tracked = buffers["num_batches_tracked"] + train
    x, running_mean, running_var = F.batch_norm_update(
        input, buffers["running_mean"], buffers["running_var"], **params, training=train
    )
    return x, {"running_mean": running_mean, "running_var": running_var, "num_batches_tracked": num_batches_tracked}


def basic_block(params, buffers, x, *, train=False):  # gallery.resnet18.torch_model.BasicBlock
    out, bn1 = batch_norm2d(params["bn1"], buffers["bn1"], F.conv2d(x, **params["conv1"], padding=1), train=train)
    out = F.relu(out)
    out, bn2 = batch_norm2d(params["bn2"], buffers["bn2"], F.conv2d(out, **params["conv2"], padding=1), train=train)
    out = out + x
    out = F.relu(out)
    return out, {"bn1": bn1, "bn2": bn2}


def basic_block_downsample(params, buffers, x, *, train=False):  # gallery.resnet18.torch_model.BasicBlock
    out, bn1 = batch_norm2d(
        params["bn1"], buffers["bn1"], F.conv2d(x, **params["conv1"], stride=2, padding=1), train=train
    )
    out = F.relu(out)
    out, bn2 = batch_norm2d(params["bn2"], buffers["bn2"], F.conv2d(out, **params["conv2"], padding=1), train=train)
    identity, downsample_1 = batch_norm2d(
        params["downsample"]["1"],
        buffers["downsample"]["1"],
        F.conv2d(x, **params["downsample"]["0"], stride=2),
        train=train,
    )
    out = out + identity
    out = F.relu(out)
    return out, {"bn1": bn1, "bn2": bn2, "downsample": {"1": downsample_1}}


def res_net(params, buffers, x, *, train=False):  # gallery.resnet18.torch_model.ResNet
    n = x.shape[0]
    x, bn1 = batch_norm2d(
        params["bn1"], buffers["bn1"], F.conv2d(x, **params["conv1"], stride=2, padding=3), train=train
    )
    x = F.relu(x)
    x = F.max_pool2d(x, 3, stride=2, padding=1)
    x, layer1_0 = basic_block(params["layer1"]["0"], buffers["layer1"]["0"], x, train=train)
    x, layer1_1 = basic_block(params["layer1"]["1"], buffers["layer1"]["1"], x, train=train)
    x, layer2_0 = basic_block_downsample(params["layer2"]["0"], buffers["layer2"]["0"], x, train=train)
    x, layer2_1 = basic_block(params["layer2"]["1"], buffers["layer2"]["1"], x, train=train)
    x, layer3_0 = basic_block_downsample(params["layer3"]["0"], buffers["layer3"]["0"], x, train=train)
    x, layer3_1 = basic_block(params["layer3"]["1"], buffers["layer3"]["1"], x, train=train)
    x, layer4_0 = basic_block_downsample(params["layer4"]["0"], buffers["layer4"]["0"], x, train=train)
    x, layer4_1 = basic_block(params["layer4"]["1"], buffers["layer4"]["1"], x, train=train)
    x = F.adaptive_avg_pool2d(x, 1).reshape(n, -1)
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
