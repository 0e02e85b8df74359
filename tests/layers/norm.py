"""Normalisation layers."""

from tests.cases.table import R
from tests.layers.table import layer

SEQUENCES, IMAGES, VOLUMES = R(3, 4, 5), R(3, 4, 2, 3), R(2, 4, 2, 3, 2)

LAYERS = [
    layer("BatchNorm1d", 4, inputs=(R(8, 4),)),
    layer("BatchNorm1d", 4, 0.1, 0.3, inputs=(SEQUENCES,)),
    layer("BatchNorm1d", 4, momentum=None, inputs=(SEQUENCES,)),
    layer("BatchNorm1d", 4, affine=False, inputs=(SEQUENCES,)),
    layer("BatchNorm1d", 4, track_running_stats=False, inputs=(SEQUENCES,)),
    layer("BatchNorm1d", 4, bias=False, inputs=(SEQUENCES,)),
    layer("BatchNorm2d", 4, inputs=(IMAGES,)),
    layer("BatchNorm2d", 4, affine=False, track_running_stats=False, inputs=(IMAGES,)),
    layer("BatchNorm3d", 4, inputs=(VOLUMES,)),
    layer("SyncBatchNorm", 4, inputs=(IMAGES,)),
    layer("InstanceNorm1d", 4, inputs=(SEQUENCES,)),
    layer("InstanceNorm1d", 4, inputs=(R(4, 5),)),
    layer("InstanceNorm1d", 4, 0.1, 0.3, True, True, inputs=(SEQUENCES,)),
    layer("InstanceNorm1d", 4, affine=True, bias=False, inputs=(SEQUENCES,)),
    layer("InstanceNorm2d", 4, inputs=(IMAGES,)),
    layer("InstanceNorm2d", 4, track_running_stats=True, inputs=(R(4, 2, 3),)),
    layer("InstanceNorm3d", 4, affine=True, inputs=(VOLUMES,)),
    layer("GroupNorm", 2, 4, inputs=(IMAGES,)),
    layer("GroupNorm", 4, 4, 0.1, affine=False, inputs=(SEQUENCES,)),
    layer("GroupNorm", 1, 4, bias=False, inputs=(SEQUENCES,)),
    layer("LayerNorm", 5, inputs=(SEQUENCES,)),
    layer("LayerNorm", (4, 5), 0.1, inputs=(SEQUENCES,)),
    layer("LayerNorm", [5], elementwise_affine=False, inputs=(SEQUENCES,)),
    layer("LayerNorm", 5, bias=False, inputs=(SEQUENCES,)),
    layer("RMSNorm", 5, inputs=(SEQUENCES,)),
    layer("RMSNorm", (4, 5), 0.1, elementwise_affine=False, inputs=(SEQUENCES,)),
    layer("LocalResponseNorm", 3, 0.5, inputs=(IMAGES,)),
    layer("LocalResponseNorm", 2, k=2.0, inputs=(SEQUENCES,)),
    *[layer("CrossMapLRN2d", size, 0.5, inputs=(R(2, 7, 2, 3),)) for size in (2, 3, 4, 5)],
]
