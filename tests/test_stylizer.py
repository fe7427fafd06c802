"""The product object on tiny files in the official layout: the published pictures, and no mix-ups.

The numbers of the files are random, so pictures are noise; what is claimed is which numbers meet.
"""

import threading
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from PIL import Image

from dualstyle.catalogue import load_catalogue
from dualstyle.codes import ExtrinsicCode, IntrinsicCode, blend
from dualstyle.config import StylizeOptions
from dualstyle.conversion import official_encoder, official_generator
from dualstyle.errors import CatalogueError, FaceError
from dualstyle.faces import Face
from dualstyle.images import png_bytes, to_tensor
from dualstyle.models.dualstylegan import DualStyleGAN
from dualstyle.sources import Library
from dualstyle.stylizer import Stylizer
from tests import factory

PUBLISHED = StylizeOptions(noise="stored")  # 0.6 and 1, truncation 0.7
STRONG = StylizeOptions.blend(structure=1.0, color=1.0, truncation=1.0, noise="stored")


def portrait(seed, size=256):
    """A smooth picture; the same seed gives the same one."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC)


class TwoFaces:
    """Finds a face in the left and in the right half of a wide picture, and none in others."""

    def detect(self, picture):
        if picture.width < 1.5 * picture.height:
            return []
        return [self._face(picture, share) for share in (0.25, 0.75)]

    def identity(self, picture):
        raise NotImplementedError

    def _face(self, picture, share):
        size, middle = picture.height / 2, np.array([picture.width * share, picture.height / 2])
        points = np.tile(middle, (68, 1))
        points[36:42] += (-0.2 * size, -0.1 * size)
        points[42:48] += (0.2 * size, -0.1 * size)
        points[48] += (-0.15 * size, 0.25 * size)
        points[54] += (0.15 * size, 0.25 * size)
        return Face(box=(0, 0, size, size), score=1.0, landmarks=points)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Official files of two domains on one StyleGAN2, and a bundled model on another."""
    folder = tmp_path_factory.mktemp("official")
    for domain in ("cartoon", "comic"):
        factory.write_official(folder, domain, sampler=domain == "cartoon")
        path = folder / "models" / domain / "generator.pt"
        path.unlink()
        factory.write_pt(path, {"g_ema": visible(factory.generator_state(domain))})
    factory.write_catalogue(folder / "styles")
    return folder


def visible(state):
    """Weaken the layers that make pictures, so that these are not all black and white."""
    return {
        key: tensor * 0.1 if ".to_rgb" in key and not key.endswith("modulation.bias") else tensor
        for key, tensor in state.items()
    }


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def library(home, cache):
    return Library(load_catalogue(home / "styles"), source=str(home), cache=cache, offline=True)


@pytest.fixture(scope="module")
def stylizer(library):
    return Stylizer(library, finder=TwoFaces())


@pytest.fixture
def face(stylizer):
    return stylizer.encode([portrait(1)], domain="cartoon")


@pytest.fixture
def style(stylizer):
    return stylizer.exemplar("cartoon", 1)


def drawn(stylizer, intrinsic, extrinsic, options):
    """The finished pictures as numbers."""
    *_, last = stylizer.render(intrinsic, extrinsic, options)
    return [np.asarray(picture) for picture in last]


def official_picture(home, picture, *, index, space, psi, strengths, preserve):
    """What the published code draws, in its order, from the same files."""
    models = home / "models"
    generator = torch.load(models / "cartoon/generator.pt", weights_only=True)
    generator = DualStyleGAN.of(*official_generator(generator, models))
    name = "encoder.pt" if space == "z+" else "encoder_wplus.pt"
    encoder = official_encoder(torch.load(models / name, weights_only=True), models).eval()
    exemplars = factory.codes()
    mapping = generator.intrinsic.mapping
    with torch.inference_mode():
        pixels = (torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255 - 0.5) / 0.5
        instyle = encoder(F.adaptive_avg_pool2d(pixels, 256))
        latent = torch.from_numpy(exemplars[list(exemplars)[index]].copy())
        if preserve and space == "z+":
            latent[:, 7:] = instyle[:, 7:]
        exstyle = mapping(latent.reshape(-1, factory.DIM)).reshape(latent.shape)
        if preserve and space == "w+":
            exstyle[:, 7:] = instyle[:, 7:]
        w_plus = instyle
        if space == "z+":
            w_plus = mapping(instyle.reshape(-1, factory.DIM)).reshape(instyle.shape)
        *_, stage = generator.synthesize(
            psi * w_plus, exstyle, torch.tensor(strengths), reference=True
        )
    return ((stage.rgb[0].clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).numpy().astype(np.uint8)


@pytest.mark.parametrize("preserve", [False, True], ids=["exemplar's colours", "photo's colours"])
@pytest.mark.parametrize("space", ["z+", "w+"])
@pytest.mark.parametrize("size", [256, 512, 1024])
def test_an_aligned_photo_becomes_the_official_picture(home, stylizer, space, preserve, size):
    options = PUBLISHED.with_(preserve_color=preserve)
    [result] = stylizer.stylize(
        portrait(1, size), domain="cartoon", style=1, encoder=space, options=options, aligned=True
    )
    wanted = official_picture(
        home,
        portrait(1, size),
        index=1,
        space=space,
        psi=0.7,
        strengths=options.strengths,
        preserve=preserve,
    )
    got = np.asarray(result.picture)
    assert got.std() > 20, "the picture would say nothing if it were flat"
    # The published formulas sum in another order, which can turn a number into its neighbour.
    assert np.abs(got.astype(int) - wanted).max() <= 1


def test_two_faces_at_once_are_the_same_as_one_by_one(stylizer):
    pictures = [portrait(1), portrait(2)]
    both = stylizer.encode(pictures, domain="cartoon")
    singles = [stylizer.encode([picture], domain="cartoon") for picture in pictures]
    assert torch.equal(both.values, torch.cat([code.values for code in singles]))
    styles = [stylizer.exemplar("cartoon", index) for index in (0, 2)]
    values = torch.cat([style.values for style in styles])
    pair = ExtrinsicCode(values, styles[0].space, "cartoon", "two")
    for got, intrinsic, extrinsic in zip(
        drawn(stylizer, both, pair, PUBLISHED), singles, styles, strict=True
    ):
        np.testing.assert_array_equal(got, drawn(stylizer, intrinsic, extrinsic, PUBLISHED)[0])


def test_one_style_serves_many_faces_but_two_do_not_serve_three(stylizer, style):
    three = stylizer.encode([portrait(seed) for seed in range(3)], domain="cartoon")
    assert len(drawn(stylizer, three, style, PUBLISHED)) == 3
    two = ExtrinsicCode(style.values.repeat(2, 1, 1), style.space, "cartoon", "two")
    with pytest.raises(ValueError, match="3 faces cannot be paired with 2 styles"):
        stylizer.render(three, two, PUBLISHED)


def test_pictures_grow_out_of_one_pass(stylizer, face, style):
    stages = list(stylizer.render(face, style, PUBLISHED, smallest=8))
    assert [stage[0].size for stage in stages] == [(8, 8), (16, 16), (32, 32), (64, 64)]
    early = list(stylizer.render(face, style, PUBLISHED.with_(image_size=32), smallest=8))
    assert [png_bytes(stage[0]) for stage in early] == [png_bytes(s[0]) for s in stages[:3]]
    [only] = stylizer.render(face, style, PUBLISHED.with_(image_size=32))
    assert only[0].size == (32, 32), "sizes below the first preview show the last one alone"


@pytest.mark.parametrize("size", [128, 2])
def test_a_size_the_model_does_not_draw_is_refused_at_once(stylizer, face, style, size):
    with pytest.raises(ValueError, match=f"cartoon draws pictures of up to 64 px, not of {size}"):
        stylizer.render(face, style, PUBLISHED.with_(image_size=size))


def test_without_strength_the_photo_is_reconstructed(stylizer, face, style):
    weak = StylizeOptions.blend(structure=0.0, color=0.0, truncation=1.0, noise="stored")
    [plain] = stylizer.reconstruct(face, "cartoon")
    np.testing.assert_array_equal(drawn(stylizer, face, style, weak)[0], np.asarray(plain))
    halved = IntrinsicCode(face.values, face.space, face.base)
    truncated = drawn(stylizer, halved, style, weak.with_(truncation=0.5))[0]
    assert (truncated != np.asarray(plain)).any()


def test_noise_comes_from_the_seed(stylizer, face, style):
    options = PUBLISHED.with_(noise="random", seed=5)
    once, again = (drawn(stylizer, face, style, options)[0] for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert (once != drawn(stylizer, face, style, options.with_(seed=6))[0]).any()
    state = torch.get_rng_state()
    drawn(stylizer, face, style, options)
    assert torch.equal(state, torch.get_rng_state()), "the global generator must stay untouched"


def test_the_recipe_repeats_the_picture(stylizer):
    options = PUBLISHED.with_(noise="random", seed=11, preserve_color=True)
    for style in (2, "random", "mix:comic/a_first.jpg+cartoon/random:4"):
        [first] = stylizer.stylize(
            portrait(3), domain="cartoon", style=style, options=options, encoder="w+", aligned=True
        )
        recipe = first.recipe
        [second] = stylizer.stylize(
            portrait(3),
            domain=recipe.domain,
            style=recipe.style,
            options=recipe.options,
            encoder=recipe.encoder,
            aligned=recipe.face == "aligned",
        )
        assert recipe == second.recipe
        assert png_bytes(first.picture, recipe=recipe) == png_bytes(second.picture, recipe=recipe)


def test_a_random_style_is_named_by_its_seed(stylizer):
    style = stylizer.style("cartoon", "random", seed=9)
    assert style.origin == "random:9"
    assert torch.equal(style.values, stylizer.style("cartoon", "random:9").values)
    assert not torch.equal(style.values, stylizer.random_style("cartoon", 10).values)
    assert style.values.shape == (1, factory.LAYERS, factory.DIM)


def test_a_domain_without_sampling_network_has_no_random_style(stylizer):
    with pytest.raises(CatalogueError, match=r"comic has no sampling network.* its 3 exemplars"):
        stylizer.random_style("comic", 0)


def test_nobody_is_repeated_by_the_same_seed(stylizer):
    one, same, other = (stylizer.random_face("cartoon", seed) for seed in (1, 1, 2))
    assert one.space == "z"
    assert torch.equal(one.values, same.values)
    assert not torch.equal(one.values, other.values)
    bundled = stylizer.random_face("pocket-cartoon", 1)
    assert (bundled.space, bundled.base) == ("w+", stylizer.base_of("pocket-cartoon"))


def test_mapped_and_unmapped_codes_draw_the_same(stylizer, home, face, style):
    """A code that says its space meets any other; mapping it by hand changes nothing."""
    generator = torch.load(home / "models/cartoon/generator.pt", weights_only=True)
    base, _ = official_generator(generator, home)
    with torch.inference_mode():
        w_face = IntrinsicCode(base.to_w_plus(face.values).clone(), "w+", face.base)
        w_style = ExtrinsicCode(base.to_w_plus(style.values).clone(), "w+", "cartoon", "by hand")
    for options in (PUBLISHED, PUBLISHED.with_(preserve_color=True)):
        [wanted] = drawn(stylizer, face, style, options)
        for intrinsic, extrinsic in ((w_face, style), (face, w_style), (w_face, w_style)):
            np.testing.assert_array_equal(drawn(stylizer, intrinsic, extrinsic, options)[0], wanted)


def test_a_code_must_say_a_space_that_exists(face):
    with pytest.raises(ValueError, match="space must be one of"):
        IntrinsicCode(face.values, "w", face.base)
    with pytest.raises(ValueError, match="shape"):
        IntrinsicCode(face.values[0], "z+", face.base)


def test_codes_of_another_stylegan_are_refused(stylizer, face, style):
    pocket = stylizer.exemplar("pocket-cartoon", 0)
    with pytest.raises(ValueError, match="The code of the face belongs to another StyleGAN2"):
        stylizer.render(face, pocket, PUBLISHED)
    with pytest.raises(ValueError, match="A style of pocket-cartoon belongs to another StyleGAN2"):
        stylizer.mix(style, pocket)
    assert stylizer.base_of("cartoon") == stylizer.base_of("comic")


def test_a_mix_has_the_shapes_of_one_and_the_colours_of_the_other(stylizer, face):
    shapes, colors = stylizer.exemplar("cartoon", 0), stylizer.exemplar("comic", 2)
    mixed = stylizer.mix(shapes, colors)
    assert mixed.origin == "mix:cartoon/b_second.jpg+comic/c_third.png"
    assert (mixed.domain, mixed.color_domain) == ("cartoon", "comic")
    only_shapes = StylizeOptions.blend(structure=1.0, color=0.0, noise="stored")
    only_colors = StylizeOptions.blend(structure=0.0, color=1.0, noise="stored")
    for options, alone in ((only_shapes, shapes), (only_colors, colors)):
        [got], [wanted] = (drawn(stylizer, face, one, options) for one in (mixed, alone))
        np.testing.assert_array_equal(got, wanted)
    assert (drawn(stylizer, face, mixed, STRONG)[0] != drawn(stylizer, face, shapes, STRONG)).any()


def test_a_mix_of_mixes_is_made_of_their_halves(stylizer):
    a, b, c = (stylizer.exemplar("cartoon", index) for index in range(3))
    mixed = stylizer.mix(stylizer.mix(a, b), stylizer.mix(b, c))
    assert mixed.origin == "mix:cartoon/b_second.jpg+cartoon/c_third.png"
    again = stylizer.style("comic", mixed.origin)
    assert torch.equal(mixed.values, again.values)


def test_a_blend_lies_between_two_styles_of_a_domain(stylizer):
    first, second = (stylizer.exemplar("cartoon", number) for number in (0, 1))
    half = blend(first, second, 0.5)
    torch.testing.assert_close(half.values, (first.values + second.values) / 2)
    assert torch.equal(blend(first, second, 0).values, first.values)
    assert torch.equal(blend(first, second, 1).values, second.values)
    quarter = blend(first, second, 0.2512)
    assert quarter.origin == f"blend:0.25:cartoon/{first.origin}+cartoon/{second.origin}"
    again = stylizer.style("cartoon", quarter.origin)
    assert torch.equal(again.values, quarter.values)
    assert (again.domain, again.space, again.origin) == ("cartoon", first.space, quarter.origin)


def test_what_cannot_be_blended_is_refused(stylizer):
    first, second = (stylizer.exemplar("cartoon", number) for number in (0, 1))
    with pytest.raises(ValueError, match="from 0 to 1"):
        blend(first, second, 1.5)
    with pytest.raises(ValueError, match="of one domain"):
        blend(first, stylizer.exemplar("comic", 0), 0.5)
    half = blend(first, second, 0.5)
    with pytest.raises(ValueError, match="made of mixtures"):
        blend(half, second, 0.5)
    with pytest.raises(ValueError, match="blend cannot be mixed"):
        stylizer.mix(first, half)


def test_a_picture_is_encoded_as_the_exemplars_were(stylizer):
    style = stylizer.picture_style(portrait(7), "cartoon")
    code = stylizer.encode([portrait(7)], domain="cartoon", space="z+")
    assert torch.equal(style.values, code.values)
    assert (style.space, style.origin) == ("z+", "picture")
    assert stylizer.picture_style(portrait(7), "pocket-cartoon").space == "w+"


def test_styles_keep_the_order_of_their_file(stylizer):
    styles = stylizer.styles("cartoon")
    assert [(style.index, style.name) for style in styles] == list(enumerate(factory.NAMES))
    for called in (2, "c_third.png", "c_third"):
        assert stylizer.exemplar("cartoon", called).origin == "c_third.png"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (3, "cartoon has the styles 0 to 2, there is no 3"),
        (-1, "cartoon has the styles 0 to 2, there is no -1"),
        ("c_thrd.png", "no style 'c_thrd.png'.*0 to 2.*Did you mean c_third.png or c_third"),
        ("picture", "hand that picture in again"),
        ("mix:cartoon/nothing+comic/a_first", "cartoon has no style 'nothing'"),
    ],
)
def test_an_unknown_style_is_told_what_there_is(stylizer, wanted, message):
    with pytest.raises(CatalogueError, match=message):
        stylizer.style("cartoon", wanted)


def test_faces_are_chosen(stylizer):
    photo = Image.new("RGB", (400, 200))
    photo.paste(portrait(1, 200), (0, 0))
    photo.paste(portrait(2, 200), (200, 0))
    both = stylizer.stylize(photo, domain="cartoon", style=0, face="all")
    assert [one.recipe.face for one in both] == ["1", "2"]
    [second] = stylizer.stylize(photo, domain="cartoon", style=0, face="2", reconstruct=True)
    assert png_bytes(second.picture) == png_bytes(both[1].picture)
    assert second.reconstruction.size == (64, 64)
    np.testing.assert_array_equal(second.face.quad, both[1].face.quad)
    with pytest.raises(FaceError, match="no face 3; the picture shows 2"):
        stylizer.stylize(photo, domain="cartoon", style=0, face="3")
    with pytest.raises(FaceError, match="No face was found"):
        stylizer.stylize(portrait(1), domain="cartoon", style=0)


def test_two_threads_do_not_mix_their_faces_up(library):
    """The peer kept the encoder's kind on one object: here two visitors draw at the same time."""
    jobs = [
        ("cartoon", "z+", 0),
        ("comic", "w+", 1),
        ("cartoon", "w+", 2),
        ("pocket-cartoon", "w+", 1),
    ]
    shared = Stylizer(library)
    start = threading.Barrier(len(jobs))
    results = {}

    def visit(stylizer, job, name):
        domain, space, style = job
        if name == "together":
            start.wait()
        pictures = []
        for seed in range(3):
            face = stylizer.encode([portrait(seed)], domain=domain, space=space)
            options = stylizer.default_options(domain).with_(seed=seed)
            passes = stylizer.render(face, stylizer.exemplar(domain, style), options, smallest=4)
            pictures += [picture.tobytes() for [picture] in passes]
        results[name, job] = pictures

    threads = [threading.Thread(target=visit, args=(shared, job, "together")) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for job in jobs:
        visit(Stylizer(library), job, "alone")
        assert results["together", job] == results["alone", job]


def test_a_pass_leaves_no_mark_on_its_reader(stylizer, face, style):
    stages = stylizer.render(face, style, PUBLISHED, smallest=8)
    next(stages)
    assert not torch.is_inference_mode_enabled()
    codes = [face, style, stylizer.random_style("cartoon", 0), stylizer.random_face("cartoon", 0)]
    codes += [stylizer.random_face("pocket-cartoon", 0), stylizer.mix(style, style)]
    assert not any(code.values.is_inference() for code in codes)


def test_codes_do_not_change_when_they_are_drawn(stylizer, face, style):
    before = face.values.clone(), style.values.clone()
    drawn(stylizer, face, style, PUBLISHED.with_(preserve_color=True))
    assert torch.equal(face.values, before[0])
    assert torch.equal(style.values, before[1])
    style.values.zero_()
    assert stylizer.exemplar("cartoon", 1).values.any(), "a copy is handed out, not the file"


def test_weights_are_loaded_once_and_shared(stylizer):
    weights = stylizer._weights
    assert weights.intrinsic("cartoon") is weights.intrinsic("comic")
    mixed = weights.generator(["cartoon", "comic"])
    for own, other in pairwise([mixed.extrinsic, weights.generator(["comic"]).extrinsic]):
        assert own.color_transforms is other.color_transforms


def test_only_rgb_pictures_are_taken(stylizer):
    with pytest.raises(ValueError, match="expected an RGB picture"):
        stylizer.encode([portrait(1).convert("L")], domain="cartoon")
    assert to_tensor(portrait(1)).shape == (1, 3, 256, 256)
