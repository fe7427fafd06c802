"""Weights and inputs of the golden cases, made from their names alone (see golden/README.md)."""

import json
import re
import zlib
from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).parent / "golden"
# A correct implementation stays below 6e-6 of the case's largest value in float32 on any CPU; at
# 1e-4 a wrong epsilon of the instance norm would pass.
RELATIVE_TOLERANCE = 2e-5


def made(name, *shape):
    """Numbers N(0, 1) that depend on the name alone."""
    draw = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    return torch.from_numpy(np.asarray(draw, dtype=np.float32))


def rule_generator(key, x):
    if key.endswith("modulation.bias"):
        return 1 + 0.1 * x
    if re.search(r"\.norm2?\.style\.weight$", key):
        return 0.05 * x
    if re.search(r"\.norm2?\.style\.bias$", key):
        x = 0.1 * x
        x[: len(x) // 2] += 1
        return x
    if key.startswith(("style.", "generator.style.")):
        return 100 * x if key.endswith("weight") else 10 * x
    if key.endswith(("noise.weight", "bias")):
        return 0.1 * x
    return x


def rule_discriminator(key, x):
    return 0.1 * x if key.endswith("bias") else x


def rule_convolutional(key, x):
    """pSp encoder, ArcFace backbone and sampler."""
    if key.endswith("running_var"):
        return 1 + 0.1 * x.abs()
    if key.endswith(("running_mean", "bias")):
        return 0.1 * x
    if x.dim() == 1:
        return 1 + 0.1 * x
    if key.endswith("linear.weight") and ".linear." in key:
        return x
    return x / np.sqrt(x[0].numel())


def state(entries, rule, *, prefix=""):
    """State dict of `[key, shape, dtype, ...]` entries; `prefix` only counts for the numbers."""
    result = {}
    for key, shape, dtype, *_ in entries:
        if key.endswith(".kernel"):
            continue
        if "int" in dtype:
            result[key] = torch.zeros(shape, dtype=torch.int64)
        else:
            result[key] = rule(key, made(prefix + key, *shape))
    return result


def entries(name):
    return json.loads((GOLDEN / name).read_text())


def assert_golden(actual, expected):
    expected = torch.from_numpy(np.asarray(expected))
    assert actual.shape == expected.shape
    worst = (actual - expected).abs().max() / expected.abs().max()
    assert worst <= RELATIVE_TOLERANCE, f"off by {worst:.2e} of the largest value"
