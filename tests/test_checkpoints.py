"""Official files are read safely, accounted for to the last tensor, converted and loaded again."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pickle
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.testing import assert_close

from dualstyle.checkpoints import (
    Codes,
    content_hash,
    difference,
    load_code_sampler,
    load_codes,
    load_encoder,
    load_extrinsic,
    load_sampler,
    load_stylegan2,
    on_meta,
    read_header,
    save_codes,
    save_network,
)
from dualstyle.config import DiscriminatorConfig, EncoderConfig, GeneratorConfig, SamplerConfig
from dualstyle.conversion import (
    convert_codes,
    convert_encoder,
    convert_generator,
    convert_sampler,
    official_encoder,
    official_generator,
    official_sampler,
)
from dualstyle.errors import CheckpointError
from dualstyle.models.discriminator import Discriminator
from dualstyle.models.dualstylegan import DualStyleGAN, ExtrinsicPath
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.models.sampler import CodeMLP, Sampler
from dualstyle.models.stylegan2 import StyleGAN2, truncate
from dualstyle.official_names import DISCRIMINATOR, EXTRINSIC, PSP_ENCODER, STYLEGAN2, translate
from dualstyle.pickles import read_codes_npy, read_official
from dualstyle.recognition import seems_to_be
from tests import factory
from tests.golden_rules import (
    GOLDEN,
    assert_golden,
    entries,
    made,
    rule_convolutional,
    rule_generator,
    state,
)

HERE = Path("file.pt")
EXACT = {"rtol": 0, "atol": 0}


def listed(name):
    """Tensors without memory, as a key list of the published files has them."""
    keys = json.loads((GOLDEN / "keys" / f"{name}.json").read_text())
    return {
        key: torch.empty(shape, dtype=getattr(torch, dtype), device="meta")
        for key, shape, dtype, _ in keys
    }


def published_sampler():
    halves = {"color": {}, "structure": {}}
    for key, tensor in listed("sampler").items():
        half, _, name = key.partition(".")
        halves[half][name] = tensor
    return halves


def published_encoder(name="psp_zplus", **options):
    average = torch.empty(512, device="meta")
    return {"state_dict": listed(name), "opts": {"start_from_latent_avg": True, **options}} | {
        "latent_avg": average
    }


# ---- the published files at their full size, without their memory ----


def test_every_tensor_of_the_published_generator_has_its_place():
    base, extrinsic = official_generator({"g_ema": listed("generator_1024")}, HERE)
    assert base.config == extrinsic.config == GeneratorConfig()
    kernels = sum(key.endswith(".kernel") for key in listed("generator_1024"))
    assert len(base.state_dict()) + len(extrinsic.state_dict()) + kernels == 253
    assert sum(p.numel() for n in (base, extrinsic) for p in n.parameters()) == 74_176_268


def test_every_tensor_of_the_published_stylegan2_has_its_place():
    assert difference(on_meta(StyleGAN2, GeneratorConfig()), stylegan2()) is None


def stylegan2():
    return translate(listed("stylegan2_1024"), STYLEGAN2)


@pytest.mark.parametrize("name", ["psp_zplus", "psp_wplus"])
@pytest.mark.parametrize("size", [{}, {"output_size": 1024}], ids=["silent", "1024"])
def test_every_tensor_of_the_published_encoders_has_its_place(name, size):
    network = official_encoder(published_encoder(name, **size), HERE)
    assert network.config == EncoderConfig()
    decoder = translate(listed(name), STYLEGAN2, prefix="decoder.")
    assert difference(on_meta(StyleGAN2, GeneratorConfig()), decoder) is None
    own = len(network.state_dict()) - 1  # code_offset is not in the list
    assert own + len([k for k in listed(name) if k.startswith("decoder.")]) == 792


def test_every_tensor_of_the_published_sampler_has_its_place():
    network = official_sampler(published_sampler(), HERE)
    assert network.structure.config == SamplerConfig(num_layers=7)
    assert network.color.config == SamplerConfig(num_layers=11)
    assert len(network.state_dict()) == 26


def test_every_tensor_of_the_published_discriminator_has_its_place():
    network = on_meta(Discriminator, DiscriminatorConfig())
    assert difference(network, translate(listed("discriminator_1024"), DISCRIMINATOR)) is None


@pytest.mark.parametrize(
    ("content", "guess"),
    [
        ({"g_ema": listed("generator_1024")}, "a DualStyleGAN generator (generator.pt)"),
        ({"g_ema": listed("stylegan2_1024")}, "a plain StyleGAN2"),
        (listed("stylegan2_1024"), "a plain StyleGAN2"),
        ({"g_ema": listed("generator_1024") | {"fusion_out.0.conv.weight": 0}}, "VToonify"),
        (published_encoder(), "a pSp encoder"),
        (published_sampler(), "a sampling network"),
        (listed("discriminator_1024"), "a StyleGAN2 discriminator"),
        (listed("irse50_arcface"), "an ArcFace"),
        (listed("animegan2"), "AnimeGANv2"),
        ({"epoch": 3}, "none of the published files"),
    ],
)
def test_files_are_recognised_by_their_names(content, guess):
    assert guess in seems_to_be(content)


# ---- wrong files ----


def altered(change):
    weights = dict(factory.generator_state())
    change(weights)
    return {"g_ema": weights}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: s.pop("res.3.conv.0.weight"), "residuals.3.convs.0.weight is missing"),
        (lambda s: s.update({"res.99.extra": torch.zeros(1)}), "tensor res.99.extra is not known"),
        (
            lambda s: s.update({"generator.convs.2.conv.weight": torch.zeros(1, 8, 8, 3, 3)}),
            r"generator.convs.2.conv.weight is \[8, 8, 3, 3\] and should be \[32, 32, 3, 3\]",
        ),
        (
            lambda s: s.update({"style.1.bias": torch.zeros(32, dtype=torch.int8)}),
            "tensor style.1.bias is torch.int8 and should be torch.float32",
        ),
        (
            lambda s: s.update({"structure_mapping.layers.0.bias": torch.zeros(32)}),
            "structure_mapping.layers.0.bias is there twice, also as style.1.bias",
        ),
        (lambda s: s.update({"style.1.bias": 3}), "g_ema/style.1.bias is not a tensor"),
    ],
    ids=["missing", "left over", "shape", "integers", "twice", "no tensor"],
)
def test_a_wrong_generator_names_its_first_wrong_tensor(change, named):
    with pytest.raises(CheckpointError, match=named) as caught:
        official_generator(altered(change), HERE)
    assert "file.pt is not a DualStyleGAN generator" in str(caught.value)
    assert "It seems to be a DualStyleGAN generator (generator.pt), but a damaged one" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("read", "content", "named", "guess"),
    [
        (
            official_generator,
            published_encoder(),
            "state_dict/encoder.input_layer.0.weight",
            "a pSp encoder (encoder.pt or encoder_wplus.pt)",
        ),
        (
            official_generator,
            {"g_ema": listed("stylegan2_1024")},
            "g_ema/style.1.weight",
            "a plain StyleGAN2, without the extrinsic style path",
        ),
        (official_encoder, published_sampler(), "color/lin1.weight", "a sampling network"),
        (
            official_sampler,
            {"g_ema": listed("generator_1024")},
            "g_ema/style.1.weight",
            "a DualStyleGAN generator",
        ),
        (official_sampler, {"lr": 1}, "not there", "none of the published files"),
    ],
)
def test_a_file_in_the_wrong_place_says_what_it_seems_to_be(read, content, named, guess):
    with pytest.raises(CheckpointError) as caught:
        read(content, HERE)
    message = str(caught.value)
    assert f"first tensor is {named}" in message
    assert f"It seems to be {guess}" in message
    assert message.endswith("Put the right file in its place.")


def test_an_encoder_of_fewer_heads_than_its_options_say_is_refused():
    content = published_encoder(output_size=256)
    with pytest.raises(CheckpointError, match=r"styles\.14\.convs\.0\.weight is not known"):
        official_encoder(content, HERE)


@pytest.mark.parametrize(
    ("content", "trouble"),
    [
        (published_encoder() | {"latent_avg": None}, "latent_avg is missing"),
        (published_encoder() | {"latent_avg": torch.empty(3)}, r"latent_avg is \[3\]"),
        (published_encoder() | {"opts": {}}, "do not say whether"),
        (published_encoder(output_size="big"), "output_size is 'big'"),
        (
            published_encoder() | {"state_dict": listed("psp_zplus") | {"x": torch.empty(1)}},
            "tensor x is not known",
        ),
    ],
)
def test_an_encoder_whose_options_and_tensors_disagree_is_refused(content, trouble):
    with pytest.raises(CheckpointError, match=trouble):
        official_encoder(content, HERE)


# ---- hostile and damaged files ----


class Hostile:
    """Writes a file when it is unpickled carelessly."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"echo run > {self.target}",)


def npy_of(path, content):
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "|O", "fortran_order": False, "shape": ()}
        )
        stream.write(content)
    return path


def test_a_pt_file_that_would_run_code_is_refused_and_not_run(tmp_path):
    path = factory.write_pt(tmp_path / "evil.pt", {"g_ema": Hostile(tmp_path / "ran")})
    with pytest.raises(CheckpointError, match=r"evil\.pt was refused .* asks for posix\.system"):
        read_official(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_an_npy_file_that_would_run_code_is_refused_and_not_run(tmp_path, protocol):
    content = pickle.dumps({"a": Hostile(tmp_path / "ran")}, protocol=protocol)
    path = npy_of(tmp_path / "evil.npy", content)
    with pytest.raises(CheckpointError, match=r"evil\.npy was refused .* asks for posix\.system"):
        read_codes_npy(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"no weights at all", b"\x80\x02}q\x00.", b"PK\x03\x04" + bytes(100)],
    ids=["empty", "text", "bare pickle", "cut zip"],
)
def test_files_that_are_no_checkpoints_are_refused_in_plain_words(tmp_path, content):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.pt .*get the "):
        read_official(path)
    codes = tmp_path / "codes.npy"
    codes.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"codes\.npy .*get the file again"):
        read_codes_npy(codes)


def test_a_file_cut_in_half_is_refused(tmp_path):
    path = factory.write_sampler(tmp_path / "sampler.pt")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        read_official(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    for read in (read_official, read_codes_npy):
        with pytest.raises(CheckpointError, match=r"nowhere cannot be read: there is no such file"):
            read(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="nowhere is not there"):
        load_stylegan2(tmp_path / "nowhere")


def test_a_list_in_a_pt_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="holds a list, not a dictionary"):
        read_official(factory.write_pt(tmp_path / "x.pt", [1, 2]))


def test_a_namespace_of_training_arguments_is_read(tmp_path):
    arguments = argparse.Namespace(size=64, name="x")
    path = factory.write_pt(tmp_path / "x.pt", {"args": arguments})
    assert vars(read_official(path)["args"]) == vars(arguments)


def test_a_file_in_the_format_before_zip_is_read(tmp_path):
    path, tensor = tmp_path / "old.pt", torch.arange(3.0)
    torch.save({"x": tensor}, path, _use_new_zipfile_serialization=False)
    assert_close(read_official(path)["x"], tensor, **EXACT)


# ---- codes ----


def test_codes_keep_the_order_of_their_file(tmp_path):
    codes = read_codes_npy(factory.write_codes(tmp_path / "codes.npy"))
    assert tuple(codes) == factory.NAMES
    for name, array in factory.codes().items():
        assert_close(codes[name], torch.from_numpy(array[0]), **EXACT)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_codes_of_any_pickle_protocol_are_read(tmp_path, protocol):
    content = pickle.dumps(np.array(factory.codes(), dtype=object), protocol=protocol)
    codes = read_codes_npy(npy_of(tmp_path / "codes.npy", content))
    assert tuple(codes) == factory.NAMES


def test_codes_written_by_numpy_1_are_read(tmp_path):
    new = pickle.dumps(np.array(factory.codes(), dtype=object), protocol=3)
    old = new.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert old != new
    codes = read_codes_npy(npy_of(tmp_path / "codes.npy", old))
    assert tuple(codes) == factory.NAMES


@pytest.mark.parametrize(
    ("content", "trouble"),
    [
        (np.zeros((3, 10, 32), np.float32), "holds a plain array"),
        (np.array({}, dtype=object), "holds no dictionary"),
        (np.array([{"a": 1}], dtype=object), "holds a plain array"),
        (np.array({"a": "text"}, dtype=object), "'a' is no code of numbers"),
        (np.array({1: np.zeros((10, 32))}, dtype=object), "1 is no code of numbers"),
        (np.array({"a": np.zeros(32)}, dtype=object), "'a' is no finite array"),
        (np.array({"a": np.full((1, 10, 32), np.nan)}, dtype=object), "'a' is no finite array"),
        (
            np.array({"a": np.zeros((1, 10, 32)), "b": np.zeros((1, 18, 32))}, dtype=object),
            "differ in shape",
        ),
    ],
)
def test_other_arrays_are_no_codes(tmp_path, content, trouble):
    np.save(tmp_path / "codes.npy", content, allow_pickle=True)
    with pytest.raises(CheckpointError, match=trouble):
        read_codes_npy(tmp_path / "codes.npy")


# ---- there and back ----


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted")
    base = convert_generator(
        factory.write_generator(folder / "generator.pt"),
        folder,
        folder / "extrinsic.safetensors",
        source={"name": "generator.pt"},
    )
    convert_encoder(
        factory.write_encoder(folder / "encoder.pt"), folder / "encoder.safetensors", "z+"
    )
    convert_sampler(factory.write_sampler(folder / "sampler.pt"), folder / "sampler.safetensors")
    convert_codes(factory.write_codes(folder / "codes.npy"), folder / "codes.safetensors")
    return folder, base


def test_a_converted_generator_draws_as_the_official_tensors_do(converted):
    folder, base = converted
    network = DualStyleGAN.of(
        load_stylegan2(base), load_extrinsic(folder / "extrinsic.safetensors")
    )
    weights = factory.generator_state()
    direct = DualStyleGAN(factory.GENERATOR)
    direct.intrinsic.load_state_dict(translate(weights, STYLEGAN2, prefix="generator."))
    own = {k: v for k, v in weights.items() if not k.startswith("generator.")}
    direct.extrinsic.load_state_dict(translate(own, EXTRINSIC))
    w_plus = made("w", 2, factory.LAYERS, factory.DIM)
    with torch.inference_mode():
        assert_close(
            network(w_plus, w_plus, torch.ones(18)), direct(w_plus, w_plus, torch.ones(18))
        )
    assert network.config == factory.GENERATOR
    assert not network.intrinsic.training
    assert not network.extrinsic.training
    assert not any(p.requires_grad for p in network.parameters())
    assert not any(t.is_meta for t in network.state_dict().values())


def test_official_weights_at_the_published_width_give_the_recorded_picture():
    weights = state(entries("keys_dsg64.json"), rule_generator)
    network = DualStyleGAN.of(*official_generator({"g_ema": weights}, HERE)).requires_grad_(False)
    w_plus, extrinsic = (
        network.intrinsic.to_w_plus(made(name, 1, 10, 512)) for name in ("instyle", "exstyle")
    )
    picture = network(truncate(w_plus, 0.7), extrinsic, torch.tensor([0.6] * 7 + [1.0] * 11))
    assert_golden(picture, np.load(GOLDEN / "stylegan.npz")["dsg64/zplus_w06_1"])


def test_a_stylegan2_is_stored_once_for_all_that_share_it(tmp_path):
    bases = []
    for domain, base in (("cartoon", ""), ("comic", ""), ("anime", "other ")):
        path = factory.write_generator(tmp_path / "g.pt", flavour=domain, base=base)
        bases.append(convert_generator(path, tmp_path, tmp_path / f"{domain}.safetensors"))
    assert bases[0] == bases[1] != bases[2]
    assert len(list(tmp_path.glob("base-*.safetensors"))) == 2
    header = read_header(tmp_path / "comic.safetensors")
    assert bases[1].stem == f"base-{header.base[:16]}"
    assert header.base == read_header(bases[1]).base == content_hash(file_state(bases[1]))
    assert header.base != read_header(tmp_path / "anime.safetensors").base


def file_state(path):
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping


def test_a_damaged_shared_stylegan2_is_written_again(tmp_path):
    path = factory.write_generator(tmp_path / "g.pt")
    base = convert_generator(path, tmp_path, tmp_path / "a.safetensors")
    base.write_bytes(base.read_bytes()[:1000])
    convert_generator(path, tmp_path, tmp_path / "a.safetensors")
    assert load_stylegan2(base).config == factory.GENERATOR


@pytest.mark.parametrize("average", ["512", "18,512"])
@pytest.mark.parametrize("learn_in_w", [True, False, None])
def test_an_encoder_starts_from_its_average_code(tmp_path, average, learn_in_w):
    path = factory.write_encoder(
        tmp_path / "encoder.pt", average=average, options={"learn_in_w": learn_in_w}
    )
    convert_encoder(path, tmp_path / "e.safetensors", "w+")
    loaded = load_encoder(tmp_path / "e.safetensors")
    assert loaded.space == "w+"
    assert loaded.network.config == factory.ENCODER
    wanted = factory.latent_average(average).expand(factory.LAYERS, factory.DIM)
    assert_close(loaded.network.get_buffer("code_offset"), wanted, **EXACT)


def test_an_encoder_that_does_not_start_from_the_average_adds_nothing(tmp_path):
    path = factory.write_encoder(
        tmp_path / "encoder.pt", options={"start_from_latent_avg": False}, average=None
    )
    convert_encoder(path, tmp_path / "e.safetensors", "z+")
    offset = load_encoder(tmp_path / "e.safetensors").network.get_buffer("code_offset")
    assert not offset.any()


def test_options_may_be_a_namespace(tmp_path):
    content = torch.load(factory.write_encoder(tmp_path / "e.pt"), weights_only=True)
    content["opts"] = argparse.Namespace(**content["opts"])
    convert_encoder(factory.write_pt(tmp_path / "e.pt", content), tmp_path / "e.safetensors", "z+")
    assert load_encoder(tmp_path / "e.safetensors").network.config == factory.ENCODER


def test_a_converted_encoder_encodes_as_the_official_tensors_do(converted):
    folder, base = converted
    loaded = load_encoder(folder / "encoder.safetensors")
    direct = PSPEncoder(factory.ENCODER).eval()
    weights = translate(factory.encoder_state(), PSP_ENCODER, prefix="encoder.")
    offset = factory.latent_average("512").expand(factory.LAYERS, -1)
    direct.load_state_dict(weights | {"code_offset": offset})
    face = made("face", 1, 3, 256, 256).tanh()
    with torch.inference_mode():
        assert_close(loaded.network(face), direct(face))
    assert read_header(folder / "encoder.safetensors").base == read_header(base).base


def test_a_converted_sampler_draws_as_the_official_tensors_do(converted):
    network = load_sampler(converted[0] / "sampler.safetensors")
    direct = Sampler(factory.STRUCTURE, factory.COLOR).eval()
    direct.load_state_dict(factory.sampler_state())
    draws = [n.sample(2, generator=torch.Generator().manual_seed(1)) for n in (network, direct)]
    assert_close(*(draw.detach() for draw in draws))
    assert draws[0].shape == (2, factory.LAYERS, factory.DIM)


def test_converted_codes_are_those_of_the_file(converted):
    codes = load_codes(converted[0] / "codes.safetensors")
    assert codes.names == factory.NAMES
    assert codes.space == "z+"
    assert_close(codes.values, torch.from_numpy(np.concatenate([*factory.codes().values()])))


def test_a_loaded_file_is_mapped_not_copied(converted):
    """Two loads of a float32 file show the same bytes, and neither owns memory of its own."""
    folder, _ = converted
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("only Linux lists the mapped files")
    network = load_extrinsic(folder / "extrinsic.safetensors")
    address = network.residuals[0].convs[0].weight.data_ptr()
    for line in maps.read_text().splitlines():
        start, end = (int(x, 16) for x in line.split()[0].split("-"))
        if start <= address < end:
            assert line.endswith("extrinsic.safetensors")
            return
    pytest.fail("the weights lie nowhere")


# ---- our own files ----


def networks():
    return [
        (StyleGAN2(factory.GENERATOR), load_stylegan2, {}),
        (ExtrinsicPath(factory.GENERATOR), load_extrinsic, {"base": "a" * 64}),
        (PSPEncoder(factory.ENCODER), lambda p: load_encoder(p).network, {"space": "z+"}),
        (Sampler(factory.STRUCTURE, factory.COLOR), load_sampler, {}),
        (CodeMLP(factory.STRUCTURE), load_code_sampler, {"space": "w+"}),
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["float32", "float16"])
def test_every_network_is_saved_and_loaded_in_float32(tmp_path, dtype):
    for network, load, facts in networks():
        path = tmp_path / "network.safetensors"
        save_network(network, path, dtype=dtype, extra={"made": "here"}, **facts)
        loaded = load(path)
        for name, tensor in network.state_dict().items():
            rounded = tensor.to(dtype).float() if tensor.is_floating_point() else tensor
            assert_close(loaded.state_dict()[name], rounded, **EXACT)
        header = read_header(path)
        assert header.metadata["made"] == "here"
        assert header.source == {}
        assert header.space == facts.get("space")
        stored = {t.dtype for t in file_state(path).values() if t.is_floating_point()}
        assert stored == {dtype}


def test_saving_gives_the_hash_that_others_refer_to(tmp_path):
    path = tmp_path / "base.safetensors"
    digest = save_network(StyleGAN2(factory.GENERATOR), path, dtype=torch.float16)
    assert read_header(path).base == digest == content_hash(file_state(path))


def test_numbers_too_large_for_half_precision_are_not_saved(tmp_path):
    network = CodeMLP(factory.STRUCTURE)
    network.bn1.get_buffer("running_var").fill_(1e6)
    with pytest.raises(ValueError, match=r"bn1\.running_var has numbers"):
        save_network(network, tmp_path / "x.safetensors", dtype=torch.float16, space="z+")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_writes_codes_must_say_in_which_space(tmp_path):
    for network in (PSPEncoder(factory.ENCODER), CodeMLP(factory.STRUCTURE)):
        with pytest.raises(ValueError, match="in which space"):
            save_network(network, tmp_path / "x.safetensors")


def test_names_and_codes_must_be_as_many(tmp_path):
    codes = Codes(("one",), torch.zeros(2, 10, 32), "z+")
    with pytest.raises(ValueError, match="1 names for codes"):
        save_codes(codes, tmp_path / "x.safetensors")


def test_a_file_of_ours_in_the_wrong_place_says_what_it_is(tmp_path):
    save_network(Sampler(factory.STRUCTURE, factory.COLOR), tmp_path / "x.safetensors")
    with pytest.raises(
        CheckpointError, match=r"should hold 'encoder' .*tensor is \w+\..*'sampler'"
    ):
        load_encoder(tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="should hold 'codes'"):
        load_codes(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("metadata", "trouble"),
    [
        ({}, "of an unknown one"),
        ({"format": "dualstyle-9"}, "dualstyle-9"),
        ({"config": "{"}, "damaged header"),
        ({"config": "[]"}, "damaged header"),
        ({"config": '{"noise_dim": 3}'}, "sizes that no network"),
        ({"config": '{"num_layers": -3}'}, "sizes that no network"),
        ({"config": '{"num_layers": 3}'}, r"tensor lin1\.weight is missing"),
    ],
)
def test_a_damaged_file_of_ours_is_refused(tmp_path, metadata, trouble):
    whole = {"network": "code-sampler", "space": "z+"} | metadata
    if "config" in whole:
        whole["format"] = "dualstyle-1"
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors", metadata=whole)
    with pytest.raises(CheckpointError, match=trouble):
        load_code_sampler(tmp_path / "x.safetensors")


def test_a_foreign_file_under_our_name_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"no safetensors at all" * 10)
    with pytest.raises(CheckpointError, match="no safetensors file, or it is damaged"):
        read_header(path)


def test_a_file_gets_the_rights_of_the_user_and_nothing_is_left_behind(tmp_path):
    path = tmp_path / "deep/er/x.safetensors"
    save_codes(Codes(("a",), torch.zeros(1, 10, 32), "z+"), path)
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    assert [p.name for p in path.parent.iterdir()] == ["x.safetensors"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    codes = Codes(("a",), torch.zeros(1, 10, 32), "z+")
    with pytest.raises(CheckpointError, match=r"cannot be written .*DUALSTYLE_CACHE"):
        save_codes(codes, tmp_path / "file/x.safetensors")


def _convert(path, out, barrier):
    torch.set_num_threads(1)
    barrier.wait()
    convert_sampler(path, out)


def test_two_processes_may_convert_the_same_file_at_once(tmp_path):
    path, out = factory.write_sampler(tmp_path / "sampler.pt"), tmp_path / "out/s.safetensors"
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    both = [context.Process(target=_convert, args=(path, out, barrier)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
        process.close()
    assert [p.name for p in out.parent.iterdir()] == ["s.safetensors"]
    assert load_sampler(out).structure.config == factory.STRUCTURE


def test_the_numbers_of_the_tiny_files_are_those_of_the_golden_rules():
    name = "lin1.weight"
    assert_close(
        factory.sampler_state()[f"color.{name}"],
        rule_convolutional(name, made(f"color.{name}", 128, 128)),
    )
