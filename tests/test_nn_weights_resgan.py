import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.nn.resgan import Discriminator, Generator, InfoMaxCritics
from gan_forensics.nn.weights import ARCHITECTURES, from_torch
from tests import oracles_resgan
from tests.oracles_resgan import Pass


def nhwc(x):
    return jnp.asarray(x).transpose(0, 2, 3, 1)


def double(tree):
    return jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), tree)


def assert_trees_close(mine, theirs):
    mine, theirs = ({k: v for k, v in dict(t).items() if v} for t in (mine, theirs))
    assert jax.tree.structure(mine) == jax.tree.structure(theirs)
    jax.tree.map(
        lambda a, b: assert_allclose(a, b, rtol=0, atol=2e-7 * np.abs(b).max()), mine, theirs
    )


def collections(variables):
    return {name: value for name, value in variables.items() if name != "params"}


def training_pass(network, variables, *inputs):
    """Outputs, and what the pass moved."""

    @jax.jit
    def run(variables):
        moving = list(collections(variables))
        return network.apply(variables, *inputs, train=True, mutable=moving)

    return run(double(variables))


# One pass in training of few networks, which use everything: compiling is what takes time.
def test_generator_agrees_with_the_drawing(rng):
    state = oracles_resgan.generator_state(32, classes=3, spectral=True, attends=True)
    labels = np.array([2, 0, 1])
    z = rng.normal(size=(3, 5))

    @jax.jit
    def drawn(state):
        run = Pass(state, train=True)
        return run.generator(32, z, labels), run.moved

    with jax.enable_x64(True):
        expected, moved = drawn(double(state))
        network = Generator(32, 8, latent=5, classes=3, spectral_norm=True, attention=True)
        variables = from_torch("sagan_generator", state)
        images, moved_ours = training_pass(network, variables, z, labels)
        assert images.dtype == jnp.float64
        assert_allclose(images, nhwc(expected), rtol=0, atol=1e-10)
        after = from_torch("sagan_generator", {**state, **moved})
        assert_trees_close(moved_ours, collections(after))


@pytest.mark.parametrize(
    ("arch", "drawing", "options"),
    [
        ("ssgan_discriminator", dict(rotation=True, own_heads=True), dict(rotations=4)),
        ("sagan_discriminator", dict(classes=3, attends=True), dict(classes=3, attention=True)),
    ],
)
def test_discriminators_agree_with_the_drawing(arch, drawing, options, rng):
    state = oracles_resgan.discriminator_state(32, **drawing)
    labels = (np.array([2, 0]),) if "classes" in options else ()
    x = rng.normal(size=(2, 3, 32, 32))

    @jax.jit
    def drawn(state):
        run = Pass(state, train=True)
        _, active = run.features(32, x)
        pooled = active.sum((2, 3))
        rotation = run.linear("l_y", pooled) if "rotations" in options else None
        return (run.logits("l5", pooled, *labels), pooled, rotation), run.moved

    with jax.enable_x64(True):
        expected, moved = drawn(double(state))
        network = Discriminator(32, 8, **options)
        found, moved_ours = training_pass(network, from_torch(arch, state), nhwc(x), *labels)
        found = found.logits, found.pooled, found.rotation
        for mine, other in zip(found, expected, strict=True):
            assert (mine is None) == (other is None)
            if mine is not None:
                assert_allclose(mine, other, rtol=0, atol=1e-11 * np.abs(other).max())
        after = from_torch(arch, {**state, **moved})
        assert_trees_close(moved_ours, collections(after))


@pytest.mark.parametrize("preact", ["relu", "identity"])
def test_infomax_weights_become_a_discriminator_and_its_critics(preact, rng):
    state = oracles_resgan.infomax_state(32, width=6)
    names = [f"local_feat_blocks.{i}" for i in range(3)] + ["global_feat_blocks.0"]
    x = rng.normal(size=(2, 3, 32, 32))

    @jax.jit
    def theirs(state, x):
        run = Pass(state, train=True, preact=preact)
        local, active = run.features(32, x, names)
        pooled = active.sum((2, 3))
        hidden = oracles_resgan.relu(run.conv("local_nrkhs_a", local))
        p = run.conv("local_nrkhs_b", hidden) + run.conv("local_nrkhs_sc", local)
        hidden = oracles_resgan.relu(run.linear("global_nrkhs_a", pooled))
        q = run.linear("global_nrkhs_b", hidden) + run.linear("global_nrkhs_sc", pooled)
        return run.logits("linear", pooled), local, pooled, p, q, run.moved

    @jax.jit
    def ours(variables, x):
        network = Discriminator(32, 8, shortcut_preact=preact)
        features, moved = network.apply(
            variables["discriminator"], x, train=True, mutable="spectral_norm"
        )
        (p, q), moved_critics = InfoMaxCritics(6).apply(
            variables["critics"],
            features.local,
            features.pooled,
            train=True,
            mutable="spectral_norm",
        )
        return features, p, q, {"discriminator": moved, "critics": moved_critics}

    with jax.enable_x64(True):
        logits, local, pooled, p, q, moved = theirs(double(state), jnp.asarray(x))
        features, p_ours, q_ours, moved_ours = ours(
            double(from_torch("infomax_discriminator", state)), nhwc(x)
        )
        for mine, other in (
            (features.logits, logits),
            (features.local, nhwc(local)),
            (features.pooled, pooled),
            (p_ours, nhwc(p).reshape(2, 64, 6)),
            (q_ours, q),
        ):
            assert_allclose(mine, other, rtol=0, atol=1e-11 * np.abs(other).max())
        assert (np.asarray(features.local) < 0).any() == (preact == "identity")
        after = from_torch("infomax_discriminator", {**state, **moved})
        for name, variables in after.items():
            assert_trees_close(moved_ours[name], collections(variables))


@pytest.mark.parametrize("size", [48, 64, 128])
def test_weights_of_every_size_fit_the_network_of_that_size(size):
    cases = [
        ("sngan_generator", oracles_resgan.generator_state(size), Generator(size, 16, latent=5)),
        ("sngan_discriminator", oracles_resgan.discriminator_state(size), Discriminator(size, 16)),
    ]
    for arch, state, network in cases:
        x = jnp.zeros((2, 5) if "generator" in arch else (2, size, size, 3))
        expected = jax.eval_shape(lambda n=network, x=x: n.init(jax.random.key(0), x, train=True))
        found = from_torch(arch, state)
        found = {name: value for name, value in found.items() if value}
        shapes = jax.tree.map(np.shape, found), jax.tree.map(lambda a: a.shape, dict(expected))
        assert shapes[0] == shapes[1]


def test_either_name_of_the_logit_is_known_for_48_pixels():
    state = oracles_resgan.discriminator_state(48, spectral=False)
    renamed = {name.replace("l6.", "l5."): array for name, array in state.items()}
    expected = from_torch("wgan_gp_discriminator", state)
    jax.tree.map(
        np.testing.assert_array_equal, from_torch("dcgan_resnet_discriminator", renamed), expected
    )


@pytest.mark.parametrize(
    ("arch", "state"),
    [
        ("cgan_pd_generator", oracles_resgan.generator_state(32, classes=3)),
        (
            "sagan_generator",
            oracles_resgan.generator_state(32, classes=3, spectral=True, attends=True),
        ),
        ("ssgan_discriminator", oracles_resgan.discriminator_state(32, rotation=True)),
        (
            "cgan_pd_discriminator",
            oracles_resgan.discriminator_state(32, classes=3, own_heads=True),
        ),
        ("infomax_discriminator", oracles_resgan.infomax_state(32, 4)),
    ],
)
def test_every_missing_name_is_named(arch, state):
    from_torch(arch, state)
    for name in state:
        rest = {k: v for k, v in state.items() if k != name}
        if name.endswith("sn_sigma"):
            from_torch(arch, rest)
            continue
        with pytest.raises(ValueError, match=f"not those of a {arch}") as caught:
            from_torch(arch, rest)
        assert f"missing: {name}" in str(caught.value) or name.startswith("l5.weight"), name


def test_weights_of_another_method_are_refused():
    states = {
        "sngan_generator": oracles_resgan.generator_state(32),
        "cgan_pd_generator": oracles_resgan.generator_state(32, classes=3),
        "wgan_gp_discriminator": oracles_resgan.discriminator_state(32, spectral=False),
        "sngan_discriminator": oracles_resgan.discriminator_state(32),
        "ssgan_discriminator": oracles_resgan.discriminator_state(32, rotation=True),
        "infomax_discriminator": oracles_resgan.infomax_state(32, 4),
    }
    for arch in states:
        for other, state in states.items():
            if other != arch:
                with pytest.raises(ValueError, match=f"not those of a {arch}"):
                    from_torch(arch, state)


def test_every_architecture_answers_an_empty_state_dict_with_what_is_missing():
    for arch in ARCHITECTURES:
        with pytest.raises(ValueError, match=f"not those of a {arch}"):
            from_torch(arch, {})
