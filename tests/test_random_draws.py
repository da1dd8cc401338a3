"""Same seed, same numbers: every draw names its kind, every key begins at one place."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gan_forensics.gans import (
    METHODS,
    Game,
    Gan,
    GanConfig,
    generate,
    interpolate,
    train_gan,
)
from gan_forensics.gans.optimizers import adam, linear_decay, staircase_decay
from gan_forensics.gans.priors import normal, uniform
from gan_forensics.gans.sampling import _noise
from gan_forensics.nn.dropout import Dropout
from gan_forensics.runtime import random_key
from gan_forensics.train import Cadence, TrainState, read_metrics
from tests.tiny_gans import CLASSES, LATENT, SIDE, Discriminator, Generator, start

ROOT = Path(__file__).resolve().parents[1]
FILES = [
    path for folder in ("gan_forensics", "experiments") for path in (ROOT / folder).rglob("*.py")
]
KEYS = "gan_forensics/runtime/random_keys.py"
# Where a key that is there is put on all devices.
PLACED = "gan_forensics/runtime/mesh.py"
# Where the type of what is drawn, or made, stands among the arguments.
DRAWS = {"normal": 2, "uniform": 2, "randint": 4, "truncated_normal": 4, "poisson": 3}
MADE = {"zeros": 1, "ones": 1, "full": 2, "empty": 1, "eye": 3, "linspace": 5, "arange": 3}
# Draws whose kind is that of an argument, and what it has to be made by.
BY_ARGUMENT = {"bernoulli": "jnp.float32(", "permutation": "jnp.arange("}
DERIVED = {"fold_in", "split", "key_data", "key_impl"}


def _typed(call, place):
    return any(k.arg == "dtype" for k in call.keywords) or len(call.args) > place


def problems(source):
    """What in a module lets JAX's environment decide what is drawn, by line."""
    found, calls = set(), {}
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            calls[node.func] = node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            if re.search(r"jax\.random|jax import .*random", ast.unparse(node)):
                found.add(f"{node.lineno}: write jax.random.NAME out")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        module, _, name = ast.unparse(node).rpartition(".")
        call, bad = calls.get(node), ""
        if module == "nn" and name == "Dropout":
            bad = "Flax's draws by JAX's width of floats; take gan_forensics.nn.dropout"
        elif module == "jnp" and name in MADE and call and not _typed(call, MADE[name]):
            # Counting by integers is harmless: they give way to the floats that they meet.
            numbers = [ast.literal_eval(x) for x in call.args if isinstance(x, ast.Constant)]
            if name != "arange" or any(isinstance(x, float) for x in numbers):
                bad = f"{name} without a dtype"
        elif module == "jax.random" and name in BY_ARGUMENT:
            if (
                call is None
                or not call.args[1:]
                or not ast.unparse(call.args[1]).startswith(BY_ARGUMENT[name])
            ):
                bad = f"{name} of what is not {BY_ARGUMENT[name]}...)"
            elif name == "permutation" and not _typed(call.args[1], MADE["arange"]):
                bad = "permutation of an arange without a dtype"
        elif module == "jax.random" and name in DRAWS:
            bad = "" if call and _typed(call, DRAWS[name]) else f"{name} without a dtype"
        elif module == "jax.random" and name not in DERIVED:
            bad = f"{name}: keys begin at random_key, and no draw but {', '.join(DRAWS)} is known"
        if bad:
            found.add(f"{node.lineno}: {bad}")
    return found


@pytest.mark.parametrize(
    "line",
    [
        "jax.random.normal(key, (2, 3))",
        "jax.random.uniform(key, (2, 3), minval=-1)",
        "jax.random.randint(key, (2,), 0, 4)",
        "jax.random.truncated_normal(key, -1, 1, (2,))",
        "jax.random.poisson(key, x)",
        "jax.random.bernoulli(key, 0.5, (2,))",
        "jax.random.bernoulli(key)",
        "jax.random.permutation(key, 8)",
        "jax.random.permutation(key, jnp.arange(8))",
        "draw(jax.random.normal)",
        "jax.random.key(0)",
        "jax.random.PRNGKey(0)",
        "jax.random.gumbel(key, (2,), jnp.float32)",
        "from jax.random import normal",
        "from jax import random, vmap",
        "import jax.random as jr",
        "nn.Dropout(0.5)",
        "jnp.zeros((2, 3))",
        "jnp.full((2,), 0.5)",
        "jnp.linspace(0, 1, 5)",
        "jnp.arange(0.0, n)",
    ],
)
def test_lines_that_leave_their_kind_open_are_found(line):
    ((found),) = problems(f"\n{line}\n")
    assert found.startswith("2: ")


def test_lines_that_name_it_are_not():
    assert not problems(
        """
jax.random.normal(key, (2, 3), jnp.float32)
jax.random.uniform(key, (2, 3), minval=-1, dtype=jnp.float32)
jax.random.randint(key, (2,), 0, 4, jnp.int32)
jax.random.bernoulli(key, jnp.float32(p), (2,))
jax.random.permutation(key, jnp.arange(8, dtype=jnp.int32))
jax.random.split(jax.random.fold_in(key, 1), 2)
jnp.zeros((2, 3), jnp.float32)
jnp.arange(8)
np.random.normal(0, 1, (2, 3))
"""
    )


def test_every_draw_of_the_package_names_its_kind_and_every_key_begins_at_one_place():
    assert len(FILES) > 300
    found = {
        str(path.relative_to(ROOT)): problems(path.read_text(encoding="utf-8")) for path in FILES
    }
    for path in (KEYS, PLACED):
        (made,) = found.pop(path)
        assert "wrap_key_data" in made
    assert not {name: lines for name, lines in found.items() if lines}


# --- where it is drawn ----------------------------------------------------------------------------

# Draws that no example of a minibatch has one of, or that are made outside of steps.
ELSEWHERE = {
    "gan_forensics/nn/initial.py": "parameters",
    "gan_forensics/gans/priors.py": "noise, which the game splits",
    "gan_forensics/gans/sampling.py": "noise of images after training, one at a time",
    "gan_forensics/gans/averaged.py": "noise of a pass after training",
    "gan_forensics/gans/rotation.py": "an order of all turned images",
    "gan_forensics/data/device_corruptions.py": "noise of one image at a time, outside of training",
}


def unsplit(source):
    """The draws of a module that do not stand in the brackets of `split_over_data`, by line."""
    if "jax.random." not in source:
        return set()
    tree = ast.parse(source)
    split = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "split_over_data"
        for argument in node.args
    }
    return {
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and id(node) not in split
        if re.fullmatch(rf"jax\.random\.({'|'.join(DRAWS | BY_ARGUMENT)})", ast.unparse(node.func))
    }


def test_draws_that_are_not_split_are_found():
    assert unsplit("split_over_data(jax.random.normal(key, (8, 2), jnp.float32))") == set()
    assert unsplit("z = jax.random.normal(key, (8, 2), jnp.float32)\nsplit_over_data(z)") == {1}
    assert unsplit("split_over_data(1 + jax.random.bernoulli(key, jnp.float32(0.5), (8,)))") == {1}


def test_what_a_step_draws_for_a_batch_is_split_over_the_devices():
    """Every device would draw all of it, and compute for all examples what follows."""
    found = {
        str(path.relative_to(ROOT)): unsplit(path.read_text(encoding="utf-8")) for path in FILES
    }
    assert {name for name, lines in found.items() if lines} == set(ELSEWHERE)


# --- what is drawn -------------------------------------------------------------------------------


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("seed", [0, 2021, 2**32 - 1, np.int64(7)])
def test_keys_are_those_that_jax_makes_when_told_nothing(seed, wide):
    """On 64 bits JAX would take the upper half of a seed as well."""
    expected = jax.random.key_data(jax.random.key(int(seed), impl="threefry2x32"))
    with jax.enable_x64(wide):
        key = random_key(seed)
        assert key.dtype == jax.random.key(0, impl="threefry2x32").dtype
        assert_array_equal(jax.random.key_data(key), expected)
        for high, low in ((2**32 + 5, 5), (-1, 2**32 - 1)):
            assert_array_equal(*[jax.random.key_data(random_key(n)) for n in (high, low)])


def test_keys_do_not_follow_jaxs_offset_nor_its_kind(monkeypatch):
    expected = jax.random.key_data(random_key(3))
    before = jax.config.jax_random_seed_offset, jax.config.jax_default_prng_impl
    try:
        jax.config.update("jax_random_seed_offset", 11)
        jax.config.update("jax_default_prng_impl", "rbg")
        assert_array_equal(jax.random.key_data(random_key(3)), expected)
    finally:
        jax.config.update("jax_random_seed_offset", before[0])
        jax.config.update("jax_default_prng_impl", before[1])


def test_threefry_in_its_earlier_way_is_refused():
    with jax.threefry_partitionable(False), pytest.raises(ValueError, match="THREEFRY_PARTITION"):
        random_key(0)


def test_dropout_is_flaxs(rng):
    x, key = jnp.asarray(rng.standard_normal((16, 9)), jnp.float32), jax.random.key(1)

    class Named(nn.Module):
        flax: bool

        @nn.compact
        def __call__(self, x):
            layer = (nn.Dropout if self.flax else Dropout)(0.3, name="drop")
            return layer(x, deterministic=False)

    theirs, ours = (Named(f).apply({}, x, rngs={"dropout": key}) for f in (True, False))
    assert_array_equal(ours, theirs)
    assert 0 < np.count_nonzero(ours) < ours.size
    with jax.enable_x64(True):
        assert_array_equal(Named(False).apply({}, x, rngs={"dropout": key}), ours)
    assert Dropout(0.3).apply({}, x, deterministic=True) is x


def test_pictures_are_the_same_where_jax_has_float64():
    generator, discriminator = Generator(classes=CLASSES), Discriminator(classes=CLASSES)
    config = GanConfig("cgan-pd", latent=LATENT, classes=CLASSES)
    gan = Gan(config, Game(generator, discriminator, (), ()))
    begun = start(generator, discriminator)
    state = TrainState(jnp.int32(0), begun.params, begun.stats, {}, {})

    def drawn():
        yield generate(gan, state, 5, seed=2**32 - 3)
        yield interpolate(gan, state, 2, 3, seed=2**32 - 1)
        yield _noise(random_key(1), jnp.arange(3), uniform(LATENT), None)
        yield _noise(random_key(1), jnp.arange(3), normal(LATENT), 0.5)

    narrow = list(drawn())
    with jax.enable_x64(True):
        for found, expected in zip(drawn(), narrow, strict=True):
            assert found.dtype == expected.dtype
            assert_array_equal(found, expected)


def test_rates_are_float32_where_jax_has_float64():
    with jax.enable_x64(True):
        params = {"w": jnp.ones(1, jnp.float32)}
        for schedule in (linear_decay(1e-3, 3), staircase_decay(1e-3, moves_per_step=2)):
            optimizer = adam(schedule)
            _, state = jax.jit(optimizer.update)(params, optimizer.init(params), params)
            assert state.hyperparams["learning_rate"].dtype == jnp.float32


@pytest.mark.slow
def test_training_is_the_same_where_jax_has_float64(tmp_path, monkeypatch):
    """The state stays float32 and int32, and losses agree to rounding."""
    row = METHODS["cgan-pd"]["resgan"]._replace(
        networks=lambda config: (Generator(config.latent, 10), Discriminator(10))
    )
    monkeypatch.setitem(METHODS, "cgan-pd", {"resgan": row})
    config = GanConfig(
        "cgan-pd", "samples:digits", SIDE, channels=1, latent=LATENT, batch_size=8, n_dis=2,
        schedule="linear", average=0.9,
    )  # fmt: skip

    def trained(name):
        state = train_gan(config, tmp_path / name, Cadence(3, log_every=1), progress=False)[1]
        return state, read_metrics(tmp_path / name / "metrics.jsonl")

    state, lines = trained("narrow")
    with jax.enable_x64(True):
        wide, wide_lines = trained("wide")
    for a, b in zip(*map(jax.tree.leaves, (state, wide)), strict=True):
        assert a.dtype == b.dtype
    for a, b in zip(lines, wide_lines, strict=True):
        for name in a:
            assert b[name] == pytest.approx(a[name], rel=1e-4, abs=1e-5), name


@pytest.mark.slow
def test_sample_writes_the_same_pictures_whatever_jax_is_told(tmp_path):
    run = tmp_path / "run"
    config = GanConfig("dcgan", size=16, width=4, latent=8, batch_size=8, average=0.9)
    train_gan(config, run, Cadence(2), progress=False)
    pictures = []
    for number, told in enumerate(
        [
            {},
            {"JAX_ENABLE_X64": "1"},
            {"JAX_DEFAULT_PRNG_IMPL": "rbg"},
            {"JAX_RANDOM_SEED_OFFSET": "5"},
        ]
    ):
        command = [sys.executable, "-m", "gan_forensics.cli", "sample", run, "-n", "8"]
        out = ["--form", "npz", "--out", tmp_path / str(number)]
        subprocess.run([*command, *out], check=True, env={**os.environ, **told})
        pictures.append(np.load(tmp_path / str(number) / "images.npz")["image"])
    for picture in pictures[1:]:
        assert_array_equal(picture, pictures[0])
