"""Training: losses, the optimizer, the loop's resume, and every stage of a bundled model, tiny."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from dualstyle.config import EncoderConfig, GeneratorConfig, SamplerConfig
from dualstyle.errors import TrainingError
from dualstyle.models.sampler import CodeMLP
from dualstyle.training import losses
from dualstyle.training.autoencoder import AutoencoderRecipe, AutoencoderStage, generator_of, redraw
from dualstyle.training.data import PictureSet, augment, held_out, identity_groups
from dualstyle.training.extrinsic import ExtrinsicRecipe, ExtrinsicStage, encode_pictures
from dualstyle.training.loop import Averaging, Run, Schedule
from dualstyle.training.optim import Muon, orthogonalize
from dualstyle.training.sampling import SamplingRecipe, fit_sampler

SMALL = AutoencoderRecipe(
    generator=GeneratorConfig(
        image_size=64, style_dim=16, mapping_layers=1, channels=(16, 16, 16, 16, 16)
    ),
    encoder=EncoderConfig(
        input_size=64,
        num_layers=10,
        style_dim=16,
        stem_channels=16,
        widths=(16, 16, 16, 16),
        units=(1, 1, 1, 1),
        head_channels=16,
    ),
    batch_size=4,
    conv_rate=0.05,
)


def smooth_pictures(count, size=64):
    """Pictures of two colours with a soft border somewhere: easy to learn."""
    draw = np.random.default_rng(0)
    line = np.linspace(-1, 1, size)
    pictures = []
    for _ in range(count):
        edge = 1 / (1 + np.exp(-8 * (line - draw.uniform(-0.5, 0.5))))
        one, two = draw.uniform(0, 255, (2, 3, 1, 1))
        pictures.append(np.broadcast_to(one + (two - one) * edge[None, None], (3, size, size)))
    names = tuple(f"{i:03d}.png" for i in range(count))
    return PictureSet(names, torch.from_numpy(np.stack(pictures).astype(np.uint8)))


@pytest.fixture(scope="module")
def pictures():
    return smooth_pictures(24)


@pytest.mark.parametrize(
    "loss",
    [
        lambda a, b, w: losses.weighted_mse(a, b, w),
        lambda a, b, w: losses.laplacian_l1(a, b, w, levels=2),
        lambda a, b, w: losses.ssim(a, b).mean(),
        lambda a, b, w: losses.reconstruction(a, b, w),
    ],
    ids=["mse", "laplacian", "ssim", "reconstruction"],
)
def test_losses_have_the_gradient_of_their_value(loss):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 1, 3, 16, 16, generator=generator, dtype=torch.float64) - 0.5
    weight = losses.face_weight(16).double()
    assert torch.autograd.gradcheck(lambda x: loss(x, b, weight), (a.requires_grad_(),))


def test_equal_pictures_cost_nothing_and_are_alike():
    picture = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    weight = losses.face_weight(32)
    assert losses.reconstruction(picture, picture, weight) == pytest.approx(0, abs=1e-6)
    assert_close(losses.ssim(picture, picture), torch.ones(2))


def test_orthogonalize_brings_singular_values_near_one():
    matrices = torch.randn(3, 8, 40, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrices))
    assert values.min() > 0.5  # Muon's quintic aims between 0.7 and 1.2, not at 1
    assert values.max() < 1.3


def test_muon_moves_a_weight_by_its_relative_rate():
    weight = torch.nn.Parameter(
        torch.randn(16, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    )
    before = weight.detach().clone()
    weight.square().sum().backward()
    Muon([weight], lr=0.01).step()
    change = (weight.detach() - before).square().mean().sqrt() / before.square().mean().sqrt()
    assert 0.005 < change < 0.015


def test_people_and_not_files_are_held_out():
    draw = np.random.default_rng(0)
    people = draw.normal(size=(30, 128))
    files = np.repeat(people, 4, axis=0) + draw.normal(size=(120, 128)) * 0.01
    groups = identity_groups(files.astype(np.float32))
    assert len(np.unique(groups)) == 30
    away = held_out(groups, share=0.2, seed=0)
    assert away.sum() == 24
    assert not set(groups[away]) & set(groups[~away])


def test_augmentation_depends_on_the_generator_alone(pictures):
    batch = pictures.batch(torch.arange(4))
    once, again = (augment(batch, torch.Generator().manual_seed(3)) for _ in range(2))
    assert_close(once, again, rtol=0, atol=0)
    assert not torch.equal(once, batch)
    assert once.abs().max() <= 1


def autoencoder(pictures, steps):
    train = pictures.subset(np.arange(24) < 16)
    test = pictures.subset(np.arange(24) >= 16)
    return AutoencoderStage(SMALL, train, test, Schedule(steps=steps, warmup=5))


def quickly_averaged(stage):
    stage.averaging = Averaging(decay=0.9)
    return stage


def test_the_autoencoder_learns(pictures, tmp_path):
    run = Run(quickly_averaged(autoencoder(pictures, 30)), tmp_path)
    with torch.no_grad():
        before = run.stage.measure(run.average)["psnr"]
    run.train(report_every=30)
    with torch.no_grad():
        after = run.stage.measure(run.average)["psnr"]
    assert after > before + 3  # [dB]
    assert (tmp_path / "preview.png").exists()
    assert (tmp_path / "log.jsonl").read_text().count("\n") == 1


def test_a_resumed_run_equals_one_that_was_never_stopped(pictures, tmp_path):
    whole = Run(autoencoder(pictures, 6), tmp_path / "whole")
    whole.train(report_every=100)
    first = Run(autoencoder(pictures, 6), tmp_path / "halves")
    for _ in range(3):
        first.one_step()
    first.save()
    second = Run(autoencoder(pictures, 6), tmp_path / "halves")
    assert second.step == 3
    second.train(report_every=100)
    for name, value in whole.average.state_dict().items():
        assert torch.equal(value, second.average.state_dict()[name]), name


def test_a_loss_that_is_no_number_stops_the_run(pictures, tmp_path):
    run = Run(autoencoder(pictures, 6), tmp_path)
    with torch.no_grad():
        run.stage.networks["generator"].constant.fill_(float("nan"))
    with pytest.raises(TrainingError, match="step 0"):
        run.train()


def test_the_extrinsic_path_learns_from_a_teacher(pictures, tmp_path):
    networks = AutoencoderStage.build(SMALL).eval()
    exemplars = encode_pictures(networks["encoder"], pictures.subset(np.arange(24) < 4))
    photos = encode_pictures(networks["encoder"], pictures.subset(np.arange(24) >= 8))

    def teacher(photos, rows, styles):
        del rows
        tint = (styles.float() / 2 - 0.75)[:, None, None, None]
        return (photos * 0.2 + tint).clamp(-1, 1)

    stage = ExtrinsicStage(
        ExtrinsicRecipe(batch_size=4, exemplars_per_batch=1, conv_rate=0.05),
        generator_of(networks),
        photos,
        photos,
        exemplars,
        teacher,
        teacher,
        Schedule(steps=30, warmup=5),
    )
    run = Run(quickly_averaged(stage), tmp_path)
    with torch.no_grad():
        before = stage.measure(run.average)["psnr"]
    run.train(report_every=30)
    with torch.no_grad():
        after = stage.measure(run.average)["psnr"]
    assert after > before + 2  # [dB]
    assert (run.stage.networks["codes"].refinement != 0).any()
    trained = dict(stage.generator.named_parameters())
    assert not any(p.requires_grad for p in trained.values())


def test_redraw_at_half_the_size_ends_the_pass_early():
    networks = AutoencoderStage.build(SMALL).eval()
    photos = torch.zeros(1, 3, 64, 64)
    with torch.no_grad():
        assert redraw(networks, photos, size=32).shape == (1, 3, 32, 32)
        assert redraw(networks, photos).shape == (1, 3, 64, 64)


def test_n_learns_to_cover_the_codes():
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(5, 2, 8, generator=generator) * 3
    network = CodeMLP(SamplerConfig(noise_dim=16, hidden_dim=32, num_layers=2, style_dim=8))
    recipe = SamplingRecipe(rounds=25, candidates=16)
    fit_sampler(network, centers, recipe, generator)
    with torch.no_grad():
        made = network(torch.randn(256, 16, generator=generator)).flatten(1)
    nearest = torch.cdist(centers.flatten(1), made).min(dim=1).values
    assert nearest.max() < 0.5 * torch.cdist(centers.flatten(1), centers.flatten(1)).max()
