import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from gan_forensics.gans import LOSSES, Game, Recipe, adversarial, largest_singular_values
from gan_forensics.gans.singular_values import singular_value_range
from gan_forensics.nn.spectral_norm import SNConv, SNDense, SNEmbed
from tests.tiny_gans import Discriminator, Generator, start


def variables_of(layer, *inputs, passes=40):
    """Parameters and statistics of a layer whose vectors have converged."""
    made = dict(layer.init(jax.random.key(0), *inputs, train=True))
    params = made.pop("params")
    apply = jax.jit(
        lambda stats: layer.apply(
            {"params": params, **stats}, *inputs, train=True, mutable=["spectral_norm"]
        )[1]
    )
    for _ in range(passes):
        made = apply(made)
    return params, made


def test_they_are_those_of_the_matrices(rng):
    x = jnp.asarray(rng.standard_normal((2, 4, 4, 3)), jnp.float32)
    cases = [
        (SNConv(5, 3), (x,), lambda p: p["kernel"].reshape(-1, 5)),
        (SNDense(4), (x.reshape(2, -1),), lambda p: p["kernel"]),
        # As many entries as features: only one of the two ways to read the table is right.
        (SNEmbed(4, 4), (jnp.arange(4),), lambda p: p["embedding"]),
    ]
    for layer, inputs, matrix in cases:
        params, stats = variables_of(layer, *inputs)
        values = largest_singular_values(
            {"a": {"b": params}}, {"spectral_norm": {"a": {"b": stats["spectral_norm"]}}}
        )
        assert list(values) == ["a/b"]
        assert_allclose(values["a/b"], np.linalg.norm(matrix(params), 2), rtol=1e-4)


def test_the_vectors_are_used_as_they_are():
    """u^T W v of the kept vectors, which is what the layer divided by."""
    kernel = jnp.asarray([[3.0, 1.0], [0.0, 2.0]])  # [in, out]
    u, v = jnp.asarray([0.6, 0.8]), jnp.asarray([1.0, 0.0])
    values = largest_singular_values(
        {"layer": {"kernel": kernel}}, {"spectral_norm": {"layer": {"u": u, "v": v}}}
    )
    assert_allclose(values["layer"], 0.6 * 3 + 0.8 * 1, rtol=1e-6)


def test_range_is_over_all_layers_of_all_networks():
    def network(scale):
        params = {"layer": {"kernel": scale * jnp.eye(2)}}
        vector = jnp.asarray([1.0, 0.0])
        return params, {"spectral_norm": {"layer": {"u": vector, "v": vector}}}

    params, stats = zip(network(3.0), network(0.5), network(9.0), strict=True)
    names = ("discriminator", "critics")
    values = singular_value_range(
        dict(zip(names, params, strict=False)), dict(zip(names, stats, strict=False))
    )
    assert {k: float(v) for k, v in values.items()} == {"sigma_min": 0.5, "sigma_max": 3.0}


class Judge(nn.Module):
    """Images to logits through one spectrally normalised layer."""

    @nn.compact
    def __call__(self, x, *, train):
        return SNDense(6, name="dense")(x.reshape(len(x), -1), train=train).sum(-1)


def test_a_move_reports_sigma_by_the_vectors_of_its_own_passes():
    generator, judge = Generator(), Judge()
    game = Game(generator, judge, (adversarial(LOSSES["hinge"]),), Recipe(1e-3).players())
    batch = {"image": start(generator, Discriminator()).batch["image"]}
    params, stats = game.init(jax.random.key(3), batch)
    # Vectors that do not fit the kernel yet, as after a step: each pass brings them nearer.
    kernel = params["discriminator"]["dense"]["kernel"]
    params["discriminator"]["dense"]["kernel"] = kernel[::-1] * jnp.arange(1.0, 7.0)[None]
    (update,) = [u for u in game.updates if u.name == "discriminator"]
    trained, frozen = ({n: params[n]} for n in ("discriminator", "generator"))
    _, aux = update.loss(trained, frozen, stats, batch, jax.random.key(4), 0)
    moved, before = (
        largest_singular_values(params["discriminator"], s["discriminator"])["dense"]
        for s in (aux.stats, stats)
    )
    assert_allclose(aux.metrics["sigma_max"], moved, rtol=1e-6)
    assert abs(moved - before) > 1e-3 * moved


def test_networks_without_spectral_norm_have_none():
    params, stats = {"conv": {"kernel": jnp.ones((3, 3, 1, 2))}}, {"batch_stats": {}}
    assert largest_singular_values(params, stats) == {}
    assert singular_value_range({"d": params}, {"d": stats}) == {}
