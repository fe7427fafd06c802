"""Feature networks: from files as they are published, and a discriminator where there are none."""

import logging

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.testing import assert_close

from dualstyle.config import DiscriminatorConfig
from dualstyle.errors import CheckpointError
from dualstyle.models.discriminator import Discriminator
from dualstyle.training import features
from tests.golden_rules import entries

VGG19_CONVS = {  # position in torchvision's list: channels in and out
    0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256),
    14: (256, 256), 16: (256, 256), 19: (256, 512), 21: (512, 512), 23: (512, 512),
    25: (512, 512), 28: (512, 512),
}  # fmt: skip
VGG19_POOLS = (4, 9, 18, 27)
VGG16_CONVS = {
    0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256),
    14: (256, 256), 17: (256, 512), 19: (512, 512), 21: (512, 512), 24: (512, 512),
    26: (512, 512), 28: (512, 512),
}  # fmt: skip
VGG16_POOLS = (4, 9, 16, 23)
ALEXNET_CONVS = {0: (3, 64, 11), 3: (64, 192, 5), 6: (192, 384, 3), 8: (384, 256, 3)}
LPIPS_CHANNELS = {"VGG16": (64, 128, 256, 512, 512), "AlexNet": (64, 192, 384, 256, 256)}


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def vgg_file(path, convolutions):
    """A state dict of torchvision's form, single numbers in half precision to keep it small."""
    state = {"classifier.6.bias": torch.zeros(1000)}
    for position, (before, after) in convolutions.items():
        weight = drawn(after, before, 3, 3, seed=position) / (before * 4.5) ** 0.5
        state[f"features.{position}.weight"] = weight.half()
        state[f"features.{position}.bias"] = (0.1 * drawn(after, seed=100 + position)).half()
    torch.save(state, path)
    return state


def linear_file(path, channels):
    rows = [drawn(1, width, 1, 1, seed=i).abs() for i, width in enumerate(channels)]
    torch.save({f"lin{i}.model.1.weight": row for i, row in enumerate(rows)}, path)
    return [row.flatten() for row in rows]


def by_hand(x, state, convolutions, pools, wanted):
    """Results of the ReLUs at positions `wanted`, written out."""
    maps = []
    for position in range(wanted[-1] + 1):
        if position in convolutions:
            weight, bias = (
                state[f"features.{position}.{kind}"].float() for kind in ("weight", "bias")
            )
            x = F.conv2d(x, weight, bias, padding=1)
        elif position in pools:
            x = F.max_pool2d(x, 2)
        else:
            x = x.clamp_min(0)
        if position in wanted:
            maps.append(x)
    return maps


def discriminator():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Discriminator(DiscriminatorConfig(image_size=64, channels=(8,) * 5))


def test_vgg19_gives_its_five_maps(tmp_path):
    state = vgg_file(tmp_path / "vgg19.pth", VGG19_CONVS)
    network = features.VGG19Features(tmp_path / "vgg19.pth")
    pictures = drawn(1, 3, 32, 32).tanh()
    half = pictures / 2 + 0.5  # torchvision's range is [0, 1]
    mean, spread = (
        torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    expected = by_hand((half - mean) / spread, state, VGG19_CONVS, VGG19_POOLS, (1, 6, 11, 20, 29))
    maps = network(pictures)
    assert [tuple(x.shape[1:]) for x in maps] == [
        (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2),
    ]  # fmt: skip
    for ours, theirs in zip(maps, expected, strict=True):
        assert_close(ours, theirs, rtol=1e-4, atol=1e-4)  # float32 through 13 convolutions
    assert not any(p.requires_grad for p in network.parameters())


def test_lpips_weighs_the_maps_of_vgg16(tmp_path):
    state = vgg_file(tmp_path / "vgg16-397923af.pth", VGG16_CONVS)
    linear = linear_file(tmp_path / "vgg.pth", LPIPS_CHANNELS["VGG16"])
    network = features.find_lpips([tmp_path], "VGG16")
    assert network.name == "LPIPS VGG16"
    a, b = drawn(2, 1, 3, 32, 32).tanh()
    total = 0
    shift = torch.tensor([-0.030, -0.088, -0.188])[:, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450])[:, None, None]
    stacks = [
        by_hand((x - shift) / scale, state, VGG16_CONVS, VGG16_POOLS, (3, 8, 15, 22, 29))
        for x in (a, b)
    ]
    for x, y, weight in zip(*stacks, linear, strict=True):
        x, y = (z / z.square().sum(1, keepdim=True).sqrt() for z in (x, y))
        total += ((x - y).square() * weight[:, None, None]).sum(1).mean()
    assert_close(network(a, b), total[None], rtol=1e-4, atol=1e-5)  # float32 as above
    assert_close(network(a, a), torch.zeros(1))


def test_lpips_with_alexnet(tmp_path):
    state = {}
    for position, (before, after, side) in {**ALEXNET_CONVS, 10: (256, 256, 3)}.items():
        state[f"features.{position}.weight"] = drawn(after, before, side, side).half() / 50
        state[f"features.{position}.bias"] = torch.zeros(after)
    torch.save(state, tmp_path / "alexnet-owt-7be5be79.pth")
    linear_file(tmp_path / "alex.pth", LPIPS_CHANNELS["AlexNet"])
    network = features.find_lpips([tmp_path], "AlexNet")
    pictures = drawn(2, 3, 64, 64).tanh()
    sides = [x.shape[2] for x in network.backbone(pictures)]
    assert sides == [15, 7, 3, 3, 3]
    assert (network(pictures, pictures.flip(0)) > 0).all()


def test_a_file_of_another_network_is_refused(tmp_path):
    vgg_file(tmp_path / "vgg.pth", VGG16_CONVS)
    with pytest.raises(CheckpointError, match=r"vgg\.pth is not .*features"):
        features.VGG19Features(tmp_path / "vgg.pth")


def test_lpips_weights_of_another_backbone_are_refused(tmp_path):
    vgg_file(tmp_path / "vgg16-397923af.pth", VGG16_CONVS)
    linear_file(tmp_path / "vgg.pth", LPIPS_CHANNELS["AlexNet"])
    with pytest.raises(CheckpointError, match="lin1 should have 128 numbers"):
        features.find_lpips([tmp_path], "VGG16")


def arcface_file(path):
    """Equal numbers everywhere: only one of each tensor's goes into the file."""
    kinds = {
        key: torch.zeros(shape, dtype=torch.int64)
        if "int" in dtype
        else torch.full((), 0.01).expand(shape)
        for key, shape, dtype, *_ in entries("keys/irse50_arcface.json")
    }
    torch.save(kinds, path)


@pytest.mark.parametrize("size", [128, 512])
def test_arcface_embeds_faces_of_any_size(tmp_path, size):
    arcface_file(tmp_path / "model_ir_se50.pth")
    network = features.ArcFaceFeatures(tmp_path / "model_ir_se50.pth").train()
    embedding = network(drawn(1, 3, size, size).tanh())
    assert embedding.shape == (1, 512)
    assert_close(embedding.norm(dim=1), torch.ones(1))
    assert not network.network.training  # dropout and batch statistics have no place in a judge


def test_without_files_the_discriminator_judges_and_the_log_says_so(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        judges = features.find_judges(discriminator(), [tmp_path])
    assert caplog.messages == [
        "features: discriminator",
        "perceptual distance: discriminator, unweighted",
        "identity: discriminator",
    ]
    pictures = drawn(2, 3, 64, 64).tanh()
    assert [x.shape[2] for x in judges.features(pictures)] == [64, 32, 16, 8, 4]
    assert judges.distance(pictures, pictures.flip(0)).shape == (2,)
    assert_close(judges.distance(pictures, pictures), torch.zeros(2))
    assert judges.recognition(pictures).shape == (2, 8 * 4 * 4)


def test_a_judge_is_a_frozen_copy(tmp_path):
    own = discriminator()
    judges = features.find_judges(own, [tmp_path])
    assert all(p.requires_grad for p in own.parameters())
    assert not any(p.requires_grad for p in judges.features.parameters())
    pictures = drawn(1, 3, 64, 64).requires_grad_()
    judges.distance(pictures, torch.zeros(1, 3, 64, 64)).sum().backward()
    assert pictures.grad.abs().max() > 0


def test_files_that_are_here_are_taken(tmp_path, caplog):
    vgg_file(tmp_path / "vgg19-dcbb9e9d.pth", VGG19_CONVS)
    arcface_file(tmp_path / "model_ir_se50.pth")
    with caplog.at_level(logging.INFO):
        features.find_judges(discriminator(), [tmp_path / "empty", tmp_path])
    assert caplog.messages == [
        "features: VGG19",
        "perceptual distance: VGG19, unweighted",
        "identity: ArcFace",
    ]
