"""The stages of the paper's recipe on tiny networks: what each of them changes, and what not."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from dualstyle.config import DiscriminatorConfig
from dualstyle.errors import CheckpointError, TrainingError
from dualstyle.images import save_png, to_picture
from dualstyle.models.arcface import ArcFace
from dualstyle.models.discriminator import Discriminator
from dualstyle.models.dualstylegan import DualStyleGAN
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.models.stylegan2 import mix_styles
from dualstyle.official_names import DISCRIMINATOR, translate
from dualstyle.training import recipes
from dualstyle.training.base import COLOR_ROWS, FULL_STRENGTH, KnownFaces, MappedNoise
from dualstyle.training.code_sampling import CodeSamplingStage
from dualstyle.training.data import PictureFolder, load_pictures
from dualstyle.training.destylization import destylize
from dualstyle.training.fine_tuning import Exemplars, FineTuningStage
from dualstyle.training.gan import trained_parameters
from dualstyle.training.inversion import CodeSpread, invert, mapped_spread
from dualstyle.training.layer_swapping import swap_layers
from dualstyle.training.loop import Run
from dualstyle.training.losses import perceptual_l1
from dualstyle.training.official import load_discriminator
from dualstyle.training.psp import PSPStage, start_from_mean, start_from_recognition
from dualstyle.training.refinement import refine
from dualstyle.training.structure_transfer import StructureTransferStage
from dualstyle.training.stylegan import StyleGAN2Stage
from tests.golden_rules import entries, rule_discriminator, state
from tests.training import tiny

JUDGES = tiny.judges()
GAN = recipes.GanRecipe(batch_size=4, r1_every=2, path_every=2, augment=True)
QUICK = recipes.GanRecipe(batch_size=4, rate=0.02, r1_every=8, path_every=1000)


def copied(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(module, before):
    return {n for n, v in module.state_dict().items() if not torch.equal(v, before[n])}


def codes(count, seed=0, layers=tiny.LAYERS):
    return torch.randn(count, layers, tiny.DIM, generator=torch.Generator().manual_seed(seed))


# ---- StyleGAN2, FreezeD, layer swapping ----


def stylegan(steps, gan=GAN):
    recipe = recipes.StyleGAN2Recipe(steps=steps, gan=gan)
    return StyleGAN2Stage(recipe, tiny.generator(), tiny.discriminator(), tiny.pictures(8))


def test_stylegan2_learns_the_colours_of_its_pictures(tmp_path):
    stage = stylegan(25, QUICK)
    colors = tiny.pictures(8).batch(torch.arange(8)).mean(dim=(0, 2, 3))

    def distance(generator):
        z = torch.randn(32, tiny.DIM, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            return (generator(generator.to_w_plus(z)).mean(dim=(0, 2, 3)) - colors).norm()

    before = distance(stage.generator)
    Run(stage, tmp_path).train()
    assert distance(stage.generator) < 0.7 * before


def test_a_resumed_gan_equals_one_that_was_never_stopped(tmp_path):
    whole = Run(stylegan(4), tmp_path / "whole")
    whole.train()
    first = Run(stylegan(4), tmp_path / "halves")
    for _ in range(2):
        first.one_step()
    first.save()
    second = Run(stylegan(4), tmp_path / "halves")
    second.train()
    for one, other in (
        (whole.average, second.average),
        (whole.stage.networks, second.stage.networks),
        (whole.stage.others, second.stage.others),
    ):
        assert not changed(one, other.state_dict())


def test_a_pytorch_too_old_for_r1_through_warps_is_named(monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.11.0+cpu")
    stylegan(1, QUICK)
    with pytest.raises(TrainingError, match=r"needs PyTorch 2\.12 or newer, this is 2\.11\.0"):
        stylegan(1, GAN)


def test_freeze_d_leaves_the_layers_near_the_picture_as_they_are(tmp_path):
    stage = stylegan(2, replace(GAN, trained_blocks=1))
    network = stage.adversary.discriminator
    before = copied(network)
    run = Run(stage, tmp_path)
    for _ in range(2):
        run.one_step()
    moved = changed(network, before)
    assert moved
    last = f"blocks.{len(network.blocks) - 1}."
    assert all(n.startswith((last, "final", "score")) for n in moved)
    assert len(trained_parameters(network, None)) == len(list(network.parameters()))


def test_layers_swapped_at_the_ends_are_those_of_one_generator():
    low, high = tiny.generator(0), tiny.generator(1)
    w_plus = codes(2)
    with torch.no_grad():
        assert torch.equal(swap_layers(low, high, 128)(w_plus), low(w_plus))
        noise = low.stored_noise
        assert torch.equal(swap_layers(low, high, 4)(w_plus), high(w_plus, noise=noise))


def test_layers_below_the_swap_come_from_the_low_generator():
    low, high = tiny.generator(0), tiny.generator(1)
    blended, w_plus = swap_layers(low, high, 16), codes(1)
    with torch.no_grad():
        pictures = [list(network.synthesize(w_plus)) for network in (low, blended)]
    same = [torch.equal(a.rgb, b.rgb) for a, b in zip(*pictures, strict=True)]
    assert same == [True, True, False, False, False]  # at 4, 8, 16, 32, 64 px
    assert torch.equal(blended.convs[3].weight, high.convs[3].weight)
    with pytest.raises(ValueError, match="resolution must be one of"):
        swap_layers(low, high, 12)


def test_a_smooth_swap_takes_half_of_both_at_its_position_and_more_of_the_high_one_above():
    low, high = tiny.generator(0), tiny.generator(1)
    blended = swap_layers(low, high, 16, width=1.0)

    def share(layer):
        ours, a, b = (g.convs[layer].weight.detach() for g in (blended, low, high))
        return float(((ours - a) * (b - a)).sum() / (b - a).square().sum())

    shares = [share(layer) for layer in range(9)]
    assert shares[3] == pytest.approx(0.5, abs=1e-5)  # the convolution that doubles to 16 px
    assert shares == sorted(shares)


# ---- progressive fine-tuning ----


def structure_transfer(layer_steps=((7, 1), (6, 1), (5, 2)), gan=GAN, **changes):
    recipe = recipes.StructureTransferRecipe(layer_steps=layer_steps, gan=gan, **changes)
    base = tiny.base()
    return StructureTransferStage(
        recipe,
        base,
        tiny.path(),
        tiny.discriminator(),
        tiny.pictures(8),
        MappedNoise(base.generator, mixing=0.0),
        JUDGES.features,
    )


def test_stage_1_draws_style_mixing_from_the_first_colour_layer():
    """Colour transfer by initialization: residuals are near zero, transforms near identity."""
    dual = DualStyleGAN.of(tiny.generator(), tiny.path())
    first, second = codes(4, seed=1), codes(4, seed=2)
    with torch.no_grad():
        drawn = dual(first, second, FULL_STRENGTH)
        mixture = dual.intrinsic(mix_styles(first, second, 7))
        plain = dual.intrinsic(first)
    assert (drawn - mixture).square().mean() < 0.01 * (drawn - plain).square().mean()


def test_stage_2_moves_the_path_alone_and_its_average_has_ts(tmp_path):
    stage = structure_transfer()
    frozen = [copied(stage.base.generator), copied(stage.base.encoder)]
    run = Run(stage, tmp_path)
    before = copied(run.average)
    assert [stage.layer_at(step) for step in range(4)] == [7, 6, 5, 5]
    run.train()
    assert not changed(stage.base.generator, frozen[0])
    assert not changed(stage.base.encoder, frozen[1])
    moved = changed(run.average, before)
    for part in ("structure_mapping", "residuals", "color_transforms"):
        assert any(name.startswith(f"path.{part}.") for name in moved), part
    assert (tmp_path / "preview.png").exists()


def test_stage_2_brings_the_path_nearer_to_the_mixture(tmp_path):
    quick = replace(QUICK, rate=0.003)
    stage = structure_transfer(((5, 30),), quick, adversarial=0.0, encoder_every=10**9)
    stage.phases = [phase for phase in stage.phases if phase.name == "generator"]
    first, second = (stage.base.generator.to_w_plus(codes(8, seed=s)[:, 0]) for s in (1, 2))
    maps = JUDGES.features(stage.base.generator(mix_styles(first, second, 5)))

    def error():
        with torch.no_grad():
            drawn = JUDGES.features(stage._draw(stage.path, first, second, None))
            return perceptual_l1(drawn, maps, stage.recipe.perceptual)

    before = error()
    Run(stage, tmp_path).train()
    assert error() < 0.95 * before


def fine_tuning(space_of_faces="mapped", **changes):
    base = tiny.base()
    recipe = recipes.FineTuningRecipe(steps=4, identity=1.0, residual=0.01, gan=GAN, **changes)
    to_w_plus = base.generator.to_w_plus
    exemplars = Exemplars(tiny.pictures(5), to_w_plus(codes(5, seed=3)), to_w_plus(codes(5)))
    faces = (
        MappedNoise(base.generator, mixing=0.9)
        if space_of_faces == "mapped"
        else KnownFaces(to_w_plus(codes(6, seed=5)))
    )
    return FineTuningStage(
        recipe,
        base.generator,
        tiny.path(),
        tiny.discriminator(),
        exemplars,
        faces,
        JUDGES.features,
        JUDGES.recognition,
    )


@pytest.mark.parametrize("faces", ["mapped", "known"])
def test_stage_3_alternates_between_its_halves_and_leaves_the_generator(tmp_path, faces):
    stage = fine_tuning(faces)
    before = copied(stage.generator)
    run = Run(stage, tmp_path)
    numbers = [run.one_step() for _ in range(2)]
    terms = {"adversarial", "contextual", "matching", "identity", "residual"}
    assert {f"generator/{t}" for t in terms} <= set(numbers[0])
    assert "generator/perceptual" not in numbers[0]
    assert "generator/perceptual" in numbers[1]
    assert not changed(stage.generator, before)
    assert stage.preview(run.average).shape == (3, 5 * 64, 7 * 64)


def test_the_paired_half_keeps_the_exemplars_shapes_and_draws_free_colours(tmp_path):
    stage = fine_tuning()
    run = Run(stage, tmp_path)
    run.step = 1
    drawing = stage._drawing(run._part(0, 0))
    own = stage.exemplars.intrinsic[drawing.rows]
    assert torch.equal(drawing.intrinsic[:, :COLOR_ROWS], own[:, :COLOR_ROWS])
    assert (
        not torch.isclose(drawing.intrinsic[:, COLOR_ROWS:], own[:, COLOR_ROWS:]).any(dim=2).all()
    )


def test_a_large_weight_on_the_residuals_makes_them_smaller(tmp_path):
    norms = []
    for weight in (0.0, 10.0):
        stage = fine_tuning()
        stage.recipe = replace(stage.recipe, residual=weight)
        stage.phases = [phase for phase in stage.phases if phase.name == "generator"]
        Run(stage, tmp_path / str(weight)).train()
        norms.append(sum(float(p.detach().norm()) for p in stage.path.residuals.parameters()))
    assert norms[1] < norms[0]


# ---- codes: destylization, refinement, inversion ----


def test_destylization_keeps_the_exemplars_colours_and_finishes_each_batch_once(tmp_path):
    base, style = tiny.base(), tiny.generator(seed=0)
    recipe = recipes.DestylizationRecipe(steps=6, batch_size=2)
    portraits = tiny.pictures(3)

    def run():
        return destylize(
            recipe, base, style, portraits, JUDGES.distance, JUDGES.recognition, tmp_path
        )

    found = run()
    # of another batch size: the convolutions' sums have another order
    assert_close(found.extrinsic, base.encode(portraits.batch(torch.arange(3))))
    assert torch.equal(found.intrinsic[:, COLOR_ROWS:], found.extrinsic[:, COLOR_ROWS:])
    assert not torch.equal(found.intrinsic[:, :COLOR_ROWS], found.extrinsic[:, :COLOR_ROWS])
    assert found.faces.shape == (3, 3, 64, 64)
    assert not list(tmp_path.rglob("state.pt"))
    written = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    again = run()
    assert torch.equal(found.intrinsic, again.intrinsic)
    assert written == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}


def test_inversion_finds_the_code_of_a_drawn_picture(tmp_path):
    generator = tiny.generator().eval()
    target = generator(generator.to_w_plus(codes(1, seed=9)[:, 0])).detach()
    chosen = Drawn(target)
    spread = mapped_spread(generator)
    errors = {}
    for code in ("w", "w+"):
        recipe = recipes.InversionRecipe(steps=40, code=code, with_noise=False, pixel=1.0)
        found = invert(recipe, generator, chosen, JUDGES.distance, spread, tmp_path / code)
        errors[code] = float((generator(found) - target).square().mean())
    start = generator(generator.repeat_layers(spread.mean[None]))
    before = float((start - target).square().mean())
    assert errors["w"] < 0.3 * before
    assert errors["w+"] < 0.3 * before
    assert found.shape == (1, tiny.LAYERS, tiny.DIM)


class Drawn:
    """Pictures that the generator drew itself, as a set."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __len__(self):
        return len(self.tensor)

    def batch(self, indices):
        return self.tensor[indices]


def test_optimized_noise_stays_normal_and_lowers_the_error(tmp_path):
    generator = tiny.generator().eval()
    targets = tiny.pictures(1)
    losses = {}
    for with_noise in (False, True):
        recipe = recipes.InversionRecipe(steps=25, with_noise=with_noise, noise=1e3)
        folder = tmp_path / str(with_noise)
        spread = mapped_spread(generator)
        invert(recipe, generator, targets, JUDGES.distance, spread, folder)
        log = (folder / "0000/log.jsonl").read_text().splitlines()[-1]
        losses[with_noise] = float(log.split('"latents/perceptual": ')[1].split(",")[0])
    assert losses[True] < losses[False]


def test_the_spread_of_known_codes_is_measured_per_layer():
    spread = CodeSpread.of(codes(500))
    assert spread.mean.shape == (tiny.LAYERS, tiny.DIM)
    assert spread.deviation == pytest.approx(tiny.DIM**0.5, rel=0.05)


def test_refinement_draws_the_exemplar_better_and_moves_colours_more_than_shapes(tmp_path):
    base = tiny.base()
    dual = DualStyleGAN.of(base.generator, tiny.path())
    pictures, intrinsic, extrinsic = tiny.pictures(2), codes(2, seed=1), codes(2, seed=2)
    recipe = replace(recipes.REFINEMENT_CARTOON, steps=20, batch_size=2)
    refined = refine(
        recipe,
        base,
        dual,
        pictures,
        intrinsic,
        extrinsic,
        JUDGES.distance,
        JUDGES.features,
        tmp_path,
    )
    target = pictures.batch(torch.arange(2))

    def error(extrinsic):
        with torch.no_grad():
            drawn = dual(base.to_w_plus(intrinsic), base.to_w_plus(extrinsic), FULL_STRENGTH)
        return (drawn - target).abs().mean()

    assert error(refined) < 0.95 * error(extrinsic)
    moved = (refined - extrinsic).abs().mean(dim=(0, 2))
    assert moved[7:].min() > 2 * moved[:7].max()


# ---- pSp ----


@pytest.mark.parametrize("space", ["z+", "w+"])
def test_psp_learns_to_redraw_and_leaves_the_generator(tmp_path, space):
    base = tiny.base(space)
    base.encoder.requires_grad_(True)
    if space == "w+":
        start_from_mean(base.encoder, base)
    before = copied(base.generator)
    w_plus = base.generator.to_w_plus(codes(8, seed=4)[:, 0])
    faces = Drawn(base.generator(w_plus).detach())
    recipe = recipes.PSPRecipe(steps=20, batch_size=4, rate=0.02, code_norm=0.005)
    stage = PSPStage(recipe, base, faces, faces, JUDGES.distance, JUDGES.recognition)
    run = Run(stage, tmp_path)
    errors = [stage.measure(run.average)["test/pixel"]]
    run.train()
    errors.append(stage.measure(run.average)["test/pixel"])
    assert errors[1] < 0.9 * errors[0]
    assert not changed(base.generator, before)


def test_an_encoder_takes_the_body_of_a_recognition_network():
    with torch.device("meta"):
        recognition = ArcFace()
    recognition = recognition.to_empty(device="cpu")
    for number, tensor in enumerate(recognition.state_dict().values()):
        tensor.fill_(number)
    encoder = PSPEncoder(
        replace(tiny.ENCODER, input_size=256, stem_channels=64, widths=(64, 128, 256, 512),
                units=(3, 4, 14, 3), head_channels=512, num_layers=4)
    )  # fmt: skip
    start_from_recognition(encoder, recognition)
    got, wanted = (one.stages[3][2].residual[1].weight for one in (encoder, recognition))
    assert torch.equal(got, wanted)


# ---- N ----


def test_n_covers_all_codes(tmp_path):
    known = codes(3, seed=1)
    recipe = recipes.CodeSamplingRecipe(
        rows_seen=8000, rows=64, batch_size=32, candidates=4, rate=5e-3, halving=10**6
    )
    stage = CodeSamplingStage(recipe, tiny.sampler(), known)
    run = Run(stage, tmp_path)
    run.train()
    made = run.average["sampler"].sample(64, generator=torch.Generator().manual_seed(1))
    for half in (slice(0, 7), slice(7, None)):
        own, samples = known[:, half].flatten(1), made[:, half].flatten(1)
        assert torch.cdist(own, samples).min(dim=1).values.max() < 0.5 * torch.cdist(own, own).max()


def test_n_resumes_in_the_middle_of_an_epoch(tmp_path):
    recipe = recipes.CodeSamplingRecipe(rows_seen=256, rows=64, batch_size=16)

    def stage():
        return CodeSamplingStage(recipe, tiny.sampler(), codes(3))

    whole = Run(stage(), tmp_path / "whole")
    whole.train()
    first = Run(stage(), tmp_path / "halves")
    for _ in range(6):
        first.one_step()
    first.save()
    second = Run(stage(), tmp_path / "halves")
    second.train()
    assert not changed(whole.average, second.average.state_dict())


# ---- files ----


def test_a_folder_reads_the_pictures_that_a_set_holds(tmp_path):
    for number, picture in enumerate(tiny.pictures(3).batch(torch.arange(3))):
        save_png(to_picture(picture), tmp_path / f"{number}.png")
    rows = torch.tensor([2, 0])
    held, read = load_pictures(tmp_path, size=32), PictureFolder(tmp_path, size=32)
    assert len(held) == len(read) == 3
    assert torch.equal(held.batch(rows), read.batch(rows))


def test_a_discriminator_is_read_out_of_an_official_training_state(tmp_path):
    weights = state(entries("keys_disc64.json"), rule_discriminator)
    torch.save({"g_ema": {}, "d": weights}, tmp_path / "official.pt")
    network = load_discriminator(tmp_path / "official.pt")
    original = Discriminator(DiscriminatorConfig(image_size=64))
    original.load_state_dict(translate(weights, DISCRIMINATOR))
    assert network.config == original.config
    assert not changed(network, original.state_dict())


def test_a_file_without_a_discriminator_says_which_file_is_wanted(tmp_path):
    torch.save({"g_ema": {}}, tmp_path / "generator.pt")
    with pytest.raises(CheckpointError, match="holds no discriminator"):
        load_discriminator(tmp_path / "generator.pt")
