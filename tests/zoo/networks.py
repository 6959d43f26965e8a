# SPDX-License-Identifier: Apache-2.0
"""The networks of timm and torchvision that the zoo opens, with random weights."""
import torch
from torch import nn

# torchvision's compiled operators need one very build of torch. None of these networks uses one, but
# importing the package describes two of them, which must be known for that.
missing = torch.library.Library("torchvision", "DEF")
for kind in ("nms", "qnms"):
    missing.define(f"{kind}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm  # noqa: E402
import torchvision  # noqa: E402

BATCH = 3
# name -> size of the image
TIMM = {  # name -> (size of the image, arguments)
    "mobilenetv2_050": 64, "mobilenetv3_small_050": 64, "mobilenetv4_conv_small": 64,
    "efficientnet_b0": 64, "resnet18": 64, "resnet50": 64, "seresnet50": 64, "resnext50_32x4d": 64,
    "regnetx_002": 64, "regnety_002": 64, "densenet121": 64, "convnext_atto": 64,
    "convnextv2_atto": 64, "vit_tiny_patch16_224": 64, "deit_tiny_distilled_patch16_224": 64,
    "swin_tiny_patch4_window7_224": 224, "swinv2_tiny_window8_256": 256, "mobilevit_xxs": 64,
    "mobilevitv2_050": 64, "ghostnet_050": 64, "mixer_s32_224": 224, "hrnet_w18_small": 64,
    "inception_v3": 96, "inception_v4": 96, "edgenext_xx_small": 64, "levit_128s": 224,
    "repvgg_a0": 64, "lcnet_050": 64, "mnasnet_small": 64, "maxvit_nano_rw_256": 256,
    "cait_xxs24_224": 224, "coat_tiny": 224, "crossvit_tiny_240": 240, "pit_ti_224": 224,
    "poolformer_s12": 64, "resmlp_12_224": 224, "dm_nfnet_f0": 64, "dla34": 64, "dpn48b": 64,
    "vovnet39a": 64, "xception41": 96, "rexnet_100": 64, "selecsls42": 64, "tnt_s_patch16_224": 224,
    "twins_pcpvt_small": 224, "visformer_tiny": 224, "volo_d1_224": 224, "xcit_nano_12_p16_224": 224,
    "beit_base_patch16_224": 224, "davit_tiny": 224, "efficientformer_l1": 224,
    "eva02_tiny_patch14_224": 224, "fastvit_t8": 64, "focalnet_tiny_srf": 224, "gcvit_xxtiny": 224,
    "hiera_tiny_224": 224, "nest_tiny": 224, "pvt_v2_b0": 64, "sequencer2d_s": 224,
    "cs3darknet_s": 64, "gernet_s": 64, "hardcorenas_a": 64, "repghostnet_050": 64, "tinynet_e": 64,
    "vgg11": 64, "skresnet18": 64, "res2net50_14w_8s": 64, "resnest14d": 64, "bat_resnext26ts": 256,
    "halonet26t": 256, "botnet26t_256": 256, "lambda_resnet26t": 256, "gmlp_s16_224": 224,
    "convmixer_768_32": 64, "efficientvit_b0": 64, "repvit_m0_9": 64, "starnet_s1": 64,
    "shvit_s1": 64, "mambaout_femto": 64, "tiny_vit_5m_224": 224, "nextvit_small": 64,
}
TORCHVISION = {
    "alexnet": 96, "squeezenet1_1": 64, "shufflenet_v2_x0_5": 64, "googlenet": 64, "mnasnet0_5": 64,
    "regnet_y_400mf": 64, "convnext_tiny": 64, "efficientnet_v2_s": 64, "swin_t": 224, "swin_v2_t": 256,
    "vit_b_32": 224, "maxvit_t": 224, "lraspp_mobilenet_v3_large": 64, "deeplabv3_mobilenet_v3_large": 64,
    "fcn_resnet50": 64, "r3d_18": 32, "swin3d_t": 64,
}
FRAMES = {"r3d_18": 8, "swin3d_t": 8}  # pictures of a film
NAMES = [*TIMM, *(f"torchvision.{n}" for n in TORCHVISION)]


def build(name):
    """The network, ready to run, and one batch for it."""
    torch.manual_seed(0)
    place, _, short = name.rpartition(".")
    if place:
        extra = {}
        if short == "googlenet":
            extra = {"aux_logits": False, "init_weights": False}
        if short.startswith(("lraspp", "deeplab", "fcn")):
            extra = {"weights_backbone": None}
        net = torchvision.models.get_model(short, weights=None, **extra)
    else:
        extra = {"img_size": TIMM[name]} if name.startswith(("vit_", "deit")) else {}
        net = timm.create_model(name, pretrained=False, **extra)
    net.eval()
    shake(net)
    side = TORCHVISION[short] if place else TIMM[name]
    film = [FRAMES[short]] if short in FRAMES else []
    return net, torch.randn(BATCH, 3, *film, side, side)


def shake(net):
    """Norms with statistics that are not the defaults."""
    for module in net.modules():
        if isinstance(module, (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)):
            for name, low, high in (("weight", .7, 1.3), ("bias", -.3, .3),
                                    ("running_mean", -.3, .3), ("running_var", .7, 1.5)):
                t = getattr(module, name, None)
                if t is not None:
                    nn.init.uniform_(t, low, high)


def export(net, x):
    """The program, for any number of samples."""
    batch = torch.export.Dim("batch", min=1, max=64)
    return torch.export.export(net, (x,), dynamic_shapes=({0: batch},))
