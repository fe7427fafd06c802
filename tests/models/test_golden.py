"""Every network equals the official one on recorded tensors."""

import numpy as np
import pytest
import torch

from dualstyle.config import DiscriminatorConfig, EncoderConfig, GeneratorConfig, SamplerConfig
from dualstyle.models.animegan import AnimeGAN
from dualstyle.models.arcface import ArcFace
from dualstyle.models.discriminator import Discriminator
from dualstyle.models.dualstylegan import DualStyleGAN
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.models.sampler import Sampler
from dualstyle.models.stylegan2 import StyleGAN2, mix_styles, truncate
from dualstyle.official_names import (
    ANIMEGAN,
    ARCFACE,
    DISCRIMINATOR,
    EXTRINSIC,
    PSP_ENCODER,
    SAMPLER,
    STYLEGAN2,
    translate,
)
from tests.golden_rules import (
    GOLDEN,
    assert_golden,
    entries,
    made,
    rule_convolutional,
    rule_discriminator,
    rule_generator,
    state,
)

CONFIG = GeneratorConfig(image_size=64)
ONES = torch.ones(18)
PUBLISHED = torch.tensor([0.6] * 7 + [1.0] * 11)
RAMP = torch.arange(18) / 17


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def golden():
    arrays = {}
    for name in ("stylegan.npz", "stylegan_more.npz", "psp.npz", "animegan2.npz"):
        arrays |= dict(np.load(GOLDEN / name))
    return arrays


@pytest.fixture(scope="module")
def dual():
    weights = state(entries("keys_dsg64.json"), rule_generator)
    network = DualStyleGAN(CONFIG)
    network.intrinsic.load_state_dict(translate(weights, STYLEGAN2, prefix="generator."))
    extrinsic = translate({k: v for k, v in weights.items() if k[:2] in ("re", "st")}, EXTRINSIC)
    network.extrinsic.load_state_dict(extrinsic)
    return network.eval()


@pytest.fixture(scope="module")
def plain():
    keys = [
        [key.removeprefix("generator."), *rest]
        for key, *rest in entries("keys_dsg64.json")
        if key.startswith("generator.")
    ]
    network = StyleGAN2(CONFIG)
    network.load_state_dict(translate(state(keys, rule_generator), STYLEGAN2))
    return network.eval()


def psp_entries(num_heads):
    """The encoder's keys with the first heads only, as a smaller generator needs them."""
    keys = [
        [key.removeprefix("encoder."), *rest]
        for key, *rest in entries("keys/psp_zplus.json")
        if key.startswith("encoder.")
    ]
    heads = tuple(f"styles.{i}." for i in range(num_heads))
    return [e for e in keys if not e[0].startswith("styles.") or e[0].startswith(heads)]


@pytest.fixture(scope="module")
def encoder18():
    return encoder(18)


def encoder(num_layers):
    network = PSPEncoder(EncoderConfig(num_layers=num_layers))
    weights = translate(state(psp_entries(num_layers), rule_convolutional), PSP_ENCODER)
    weights["code_offset"] = torch.zeros(num_layers, 512)
    network.load_state_dict(weights)
    return network.eval()


def intrinsic(dual):
    return dual.intrinsic.to_w_plus(made("instyle", 1, 10, 512))


def extrinsic(dual):
    return dual.intrinsic.to_w_plus(made("exstyle", 1, 10, 512))


def test_the_mapping_of_the_exemplar_is_official(dual, golden):
    assert_golden(extrinsic(dual), golden["exstyle_w"])


@pytest.mark.parametrize(
    ("case", "psi", "strengths", "fuse_index"),
    [
        ("zplus_w06_1", 0.7, PUBLISHED, 18),
        ("zplus_w0", 1.0, torch.zeros(18), 18),
        ("zplus_ramp", 0.5, RAMP, 18),
        ("zplus_fuse5", 1.0, ONES, 5),
        ("zplus_fuse0", 1.0, ONES, 0),
        ("zplus_fuse7", 1.0, ONES, 7),
    ],
)
@pytest.mark.parametrize("reference", [False, True], ids=["fast", "reference"])
def test_z_plus_codes(dual, golden, case, psi, strengths, fuse_index, reference):
    *_, last = dual.synthesize(
        truncate(intrinsic(dual), psi),
        extrinsic(dual),
        strengths,
        fuse_index=fuse_index,
        reference=reference,
    )
    assert_golden(last.rgb, golden[f"dsg64/{case}"])


def test_without_the_extrinsic_path(dual, golden):
    assert_golden(dual.intrinsic(intrinsic(dual)), golden["dsg64/zplus_nores"])


def test_w_plus_codes(dual, golden):
    w_plus = truncate(0.5 * made("instyle", 1, 10, 512), 0.7)
    assert_golden(dual(w_plus, extrinsic(dual), PUBLISHED), golden["dsg64/wplus_w06_1"])


def test_one_z_for_all_layers(dual, golden):
    w_plus = dual.intrinsic.to_w_plus(made("z", 1, 512))
    exemplar = dual.intrinsic.repeat_layers(made("ex512", 1, 512))
    assert_golden(dual(w_plus, exemplar, ONES), golden["dsg64/z_default"])


def test_two_z_mixed_at_layer_3(dual, golden):
    first, second = (dual.intrinsic.to_w_plus(made(name, 1, 512)) for name in ("z", "z2"))
    w_plus = mix_styles(first, second, 3)
    assert_golden(w_plus, golden["dsg64/zmix_inj3_latent"])
    assert_golden(dual(w_plus, extrinsic(dual), ONES), golden["dsg64/zmix_inj3"])


def test_two_w_plus_mixed_at_layer_4(dual, golden):
    w_plus = mix_styles(0.5 * made("wa", 1, 10, 512), 0.5 * made("wb", 1, 10, 512), 4)
    assert_golden(dual(w_plus, extrinsic(dual), ONES), golden["dsg64/two_wplus_inj4"])


def test_features_at_32_px(dual, golden):
    stages = dual.synthesize(intrinsic(dual), extrinsic(dual), ONES)
    stage = next(s for s in stages if s.size == 32)
    assert_golden(stage.features.mean(dim=(2, 3)), golden["dsg64/feat_mean"])
    assert_golden(stage.rgb, golden["dsg64/feat_skip"])


def test_two_faces_and_two_exemplars_in_one_batch(dual, golden):
    w_plus = dual.intrinsic.to_w_plus(made("instyle2", 2, 10, 512))
    exemplars = dual.intrinsic.to_w_plus(made("exstyle2", 2, 10, 512))
    picture = dual(truncate(w_plus, 0.7), exemplars, PUBLISHED)
    assert_golden(picture, golden["dsg64/batch2"])


def test_given_noise(dual, golden):
    sizes = [4, 8, 8, 16, 16, 32, 32, 64, 64]
    noise = [made(f"given{i}", 1, 1, size, size) for i, size in enumerate(sizes)]
    picture = dual(intrinsic(dual), extrinsic(dual), ONES, noise=noise)
    assert_golden(picture, golden["dsg64/given_noise"])


def test_the_plain_generator(plain, golden):
    z = made("z", 2, 512)
    assert_golden(plain.mapping(z), golden["sg64/w"])
    assert_golden(plain(plain.to_w_plus(z)), golden["sg64/z"])


@pytest.mark.parametrize("batch", [1, 4, 8])
def test_discriminator(golden, batch):
    weights = state(entries("keys_disc64.json"), rule_discriminator)
    network = Discriminator(DiscriminatorConfig(image_size=64))
    network.load_state_dict(translate(weights, DISCRIMINATOR))
    pictures = made("dimg8", 8, 3, 64, 64) if batch == 8 else made("dimg", 4, 3, 64, 64)[:batch]
    assert_golden(network(pictures), golden[f"disc64/batch{batch}"])


def test_psp_encoder(encoder18, golden):
    assert_golden(encoder18(torch.tanh(made("face", 2, 3, 256, 256))), golden["psp/codes"])


def test_psp_reconstruction_in_both_spaces(plain, golden):
    network = encoder(10)
    network.get_buffer("code_offset").copy_(0.1 * made("latent_avg", 512))
    codes = network(torch.tanh(made("face", 2, 3, 256, 256)))[:1]
    assert_golden(codes, golden["psp64/z_lat"])
    assert_golden(codes, golden["psp64/w_lat"])
    w_plus = plain.to_w_plus(codes)
    assert_golden(w_plus, golden["psp64/zw_lat"])
    assert_golden(plain(w_plus), golden["psp64/z_img"])
    assert_golden(plain(w_plus), golden["psp64/zw_img"])
    picture = plain(codes)
    assert_golden(picture, golden["psp64/w_img"])
    pooled = torch.nn.functional.adaptive_avg_pool2d(picture, 256)
    assert_golden(pooled[:, :, ::8, ::8], golden["psp64/w_pool_img"])
    assert_golden(codes, golden["psp64/w_pool_lat"])


@pytest.mark.parametrize("batch_stats", [False, True], ids=["eval", "train"])
def test_sampler(golden, batch_stats):
    network = Sampler(SamplerConfig(num_layers=7), SamplerConfig(num_layers=11)).eval()
    weights = state(entries("keys/sampler.json"), rule_convolutional)
    network.load_state_dict(translate(weights, SAMPLER))
    for half, mlp in (("color", network.color), ("structure", network.structure)):
        codes = mlp(made(f"e_{half}", 4, 128), batch_stats=batch_stats).flatten(1)
        mode = "train" if batch_stats else "eval"
        assert_golden(codes, golden[f"sampler/{half}_{mode}"])


def test_arcface(golden):
    network = ArcFace()
    weights = state(entries("keys/irse50_arcface.json"), rule_convolutional)
    network.load_state_dict(translate(weights, ARCFACE))
    faces = torch.tanh(made("idface", 2, 3, 256, 256))
    assert_golden(network.eval()(faces), golden["irse50/emb"])


@pytest.mark.parametrize(
    ("case", "name", "size", "align_corners"),
    [
        ("align_true", "anime", (70, 94), True),
        ("align_false_64x96", "anime64", (64, 96), False),
        ("align_true_64x96", "anime64", (64, 96), True),
    ],
)
def test_animegan(golden, case, name, size, align_corners):
    network = AnimeGAN()
    weights = state(entries("keys/animegan2.json"), rule_convolutional)
    network.load_state_dict(translate(weights, ANIMEGAN))
    photo = torch.tanh(made(name, 1, 3, *size))
    assert_golden(network(photo, align_corners=align_corners), golden[case])
