import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from numpy.testing import assert_allclose

from gan_forensics.nn import norms
from gan_forensics.nn.norms import BatchNorm, ConditionalBatchNorm, GroupNorm1, InstanceNorm
from tests import oracles_nn

AXES = {"batch": (0, 1, 2), "layer": (1, 2, 3), "instance": (1, 2)}
LAYERS = {"batch": BatchNorm, "layer": GroupNorm1, "instance": InstanceNorm}
names = pytest.mark.parametrize("name", AXES)


def apply(name, variables, x, **options):
    if name != "batch":
        return LAYERS[name](**options).apply(variables, x)
    return BatchNorm(**options).apply(variables, x, train=True, mutable="batch_stats")[0]


def affine(rng, features):
    scale, bias = rng.normal(size=(2, features)).astype(np.float32)
    return {"params": {"scale": scale, "bias": bias}, "batch_stats": statistics(features)}


def statistics(features, mean=0.0, var=1.0):
    return {"mean": np.full(features, mean, "f4"), "var": np.full(features, var, "f4")}


def oracle(x, axes, scale=1.0, bias=0.0):
    x = np.asarray(x, np.float64)
    centred = x - x.mean(axes, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axes, keepdims=True) + 1e-5) * scale + bias


@names
def test_layer_subtracts_the_mean_and_divides_by_the_biased_deviation(name, rng):
    x = rng.normal(2, 3, size=(3, 5, 4, 6)).astype(np.float32)
    variables = affine(rng, 6)
    expected = oracle(x, AXES[name], **variables["params"])
    assert_allclose(apply(name, variables, x), expected, atol=2e-6, rtol=1e-5)


@names
def test_layer_ignores_gain_and_offset_of_its_input(name, rng):
    x = rng.normal(size=(3, 8, 8, 4)).astype(np.float32)
    variables = affine(rng, 4)
    changed = apply(name, variables, 7 * x - 3)
    assert_allclose(changed, apply(name, variables, x), atol=1e-4, rtol=1e-4)


@names
def test_layer_is_exact_where_the_mean_is_large_beside_the_spread(name, rng):
    x = (1000 + rng.normal(size=(8, 16, 16, 4))).astype(np.float32)
    variables = {"params": {"scale": np.ones(4, "f4"), "bias": np.zeros(4, "f4")}}
    variables["batch_stats"] = statistics(4)
    # The mean of 1000 is known to 3e-5 in float32; a mean of squares would be off by 0.06.
    assert_allclose(apply(name, variables, x), oracle(x, AXES[name]), atol=5e-4, rtol=0)


@names
def test_layer_of_a_constant_map_is_its_bias_with_finite_gradients(name, rng):
    x = jnp.full((2, 4, 4, 3), 0.7)
    variables = affine(rng, 3)
    y, gradient = jax.vjp(lambda x: apply(name, variables, x), x)
    bias = variables["params"]["bias"]
    assert_allclose(y, np.broadcast_to(bias, x.shape), atol=1e-4, rtol=0)
    assert np.isfinite(gradient(jnp.cos(jnp.arange(x.size)).reshape(x.shape))[0]).all()


@names
def test_statistics_are_float32_under_bfloat16(name, rng):
    # bfloat16 cannot add 1 to 256: sums in it would stand still.
    x = jnp.asarray(rng.normal(3, 1, size=(16, 16, 16, 4)), jnp.bfloat16)
    variables = affine(rng, 4)
    y = apply(name, variables, x)
    assert y.dtype == jnp.bfloat16
    assert apply(name, variables, x, dtype=jnp.float32).dtype == jnp.float32
    expected = oracle(x.astype(jnp.float32), AXES[name], **variables["params"])
    assert_allclose(apply(name, variables, x, dtype=jnp.float32), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "own"), [*((name, 1) for name in AXES), ("batch", 3)])
def test_written_out_derivative_is_that_of_the_formula_to_second_order(name, own, rng):
    axes = AXES[name]

    def formula(x, scale, bias):
        mean = x.mean(axes, keepdims=True)
        var = jnp.square(x - mean).mean(axes, keepdims=True)
        return (x - mean) / jnp.sqrt(var + 1e-5) * scale + bias, mean, var

    def ours(x, scale, bias):
        return norms._normalise(x, scale, bias, axes, 1e-5)

    def scalar(f):
        # Uses all outputs, unequally and not linearly.
        return lambda *a: sum(jnp.sum(jnp.sin(1.3 * v + i)) for i, v in enumerate(f(*a)))

    def penalty(f):
        return lambda *a: sum(jnp.square(g).sum() for g in jax.grad(scalar(f), (0, 1, 2))(*a))

    with jax.enable_x64(True):
        x = jnp.asarray(rng.normal(1, 2, size=(3, 4, 5, 2)))
        # One scale and bias for all images, or for every image its own.
        scale, bias = jnp.asarray(rng.normal(size=(2, own, 1, 1, 2)))
        for order in (scalar, penalty):
            mine, theirs = (
                jax.jit(jax.grad(order(f), (0, 1, 2)))(x, scale, bias) for f in (ours, formula)
            )
            for a, b in zip(mine, theirs, strict=True):
                assert a.dtype == jnp.float64
                assert_allclose(a, b, atol=1e-12, rtol=1e-10)


def test_batch_norm_moves_running_statistics_by_a_tenth_with_unbiased_variance(rng):
    x = rng.normal(2, 3, size=(2, 3, 2, 5)).astype(np.float32)
    old = statistics(5, mean=0.5, var=2.0)
    variables = affine(rng, 5) | {"batch_stats": old}
    _, changed = BatchNorm().apply(variables, x, train=True, mutable="batch_stats")
    mean = 0.9 * old["mean"] + 0.1 * x.mean((0, 1, 2))
    var = 0.9 * old["var"] + 0.1 * x.var((0, 1, 2), ddof=1)
    assert_allclose(changed["batch_stats"]["mean"], mean, rtol=1e-6)
    assert_allclose(changed["batch_stats"]["var"], var, rtol=1e-6)


def test_batch_norm_at_inference_uses_the_running_statistics(rng):
    x = rng.normal(size=(2, 3, 3, 4)).astype(np.float32)
    variables = affine(rng, 4) | {"batch_stats": statistics(4, mean=0.5, var=4.0)}
    params = variables["params"]
    expected = (x - 0.5) / np.sqrt(4 + 1e-5) * params["scale"] + params["bias"]
    y = BatchNorm().apply(variables, x, train=False)
    assert_allclose(y, expected, atol=1e-6, rtol=1e-6)


def test_batch_norm_initialises_to_identity_statistics_in_either_mode(getkey, rng):
    x = rng.normal(5, 2, size=(4, 3, 3, 2)).astype(np.float32)
    for train in (True, False):
        variables = BatchNorm().init(getkey(), x, train=train)
        assert_allclose(variables["batch_stats"]["mean"], np.zeros(2))
        assert_allclose(variables["batch_stats"]["var"], np.ones(2))


def test_batch_norm_refuses_to_train_on_one_value_per_channel(getkey):
    x = jnp.ones((1, 1, 1, 4))
    variables = BatchNorm().init(getkey(), x, train=False)
    with pytest.raises(ValueError, match="one value per channel.*larger batch"):
        BatchNorm().apply(variables, x, train=True, mutable="batch_stats")


def test_running_statistics_carry_no_gradient(rng):
    variables = affine(rng, 2)

    def moved(x):
        _, changed = BatchNorm().apply(variables, x, train=True, mutable="batch_stats")
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(changed))

    x = jnp.asarray(rng.normal(size=(2, 3, 3, 2)), jnp.float32)
    assert_allclose(jax.grad(moved)(x), jnp.zeros_like(x))


def test_conditional_batch_norm_is_batch_norm_with_the_scale_and_bias_of_the_class(rng):
    x = rng.normal(2, 3, size=(4, 3, 3, 2)).astype(np.float32)
    labels = np.array([2, 0, 2, 1])
    table = rng.normal(size=(3, 4)).astype(np.float32)
    stats = {"batch_stats": statistics(2, mean=0.5, var=2.0)}
    plain = {"params": {"scale": np.ones(2, "f4"), "bias": np.zeros(2, "f4")}, **stats}
    layer, conditional = ConditionalBatchNorm(3), {"params": {"embedding": table}, **stats}
    scale, bias = table[labels, None, None, :2], table[labels, None, None, 2:]

    y, moved = layer.apply(conditional, x, labels, train=True, mutable="batch_stats")
    expected, moved_plain = BatchNorm().apply(plain, x, train=True, mutable="batch_stats")
    assert_allclose(y, expected * scale + bias, atol=1e-5)
    jax.tree.map(lambda a, b: assert_allclose(a, b, rtol=1e-6), moved, moved_plain)
    expected = BatchNorm().apply(plain, x, train=False) * scale + bias
    assert_allclose(layer.apply(conditional, x, labels, train=False), expected, atol=1e-5)


def test_conditional_batch_norm_starts_with_scales_around_one_and_no_bias(getkey):
    layer = ConditionalBatchNorm(50)
    x = jnp.ones((2, 3, 3, 40))
    variables = layer.init(getkey(), x, jnp.zeros(2, int), train=False)
    scale, bias = np.split(np.asarray(variables["params"]["embedding"]), 2, axis=1)
    assert scale.shape == (50, 40)
    assert_allclose([scale.mean(), scale.std()], [1, 0.02], rtol=0.1)
    assert_allclose(bias, 0)


def test_conditional_batch_norm_gives_nan_for_a_class_that_it_does_not_have(rng, getkey):
    x = jnp.asarray(rng.normal(size=(2, 3, 3, 2)), jnp.float32)
    layer = ConditionalBatchNorm(3)
    variables = layer.init(getkey(), x, jnp.zeros(2, int), train=False)
    y = layer.apply(variables, x, jnp.array([2, 3]), train=False)
    assert list(np.isnan(y).all((1, 2, 3))) == [False, True]


@names
def test_sharded_batch_gives_the_values_gradients_and_statistics_of_one_device(name, rng):
    x = jnp.asarray(rng.normal(1, 2, size=(16, 4, 4, 3)), jnp.float32)
    weights = jnp.asarray(rng.normal(size=x.shape), jnp.float32)
    variables = affine(rng, 3)

    @jax.jit
    def everything(params, x):
        def loss(params, x):
            changed = {}
            tree = {**variables, "params": params}
            if name == "batch":
                y, changed = BatchNorm().apply(tree, x, train=True, mutable="batch_stats")
            else:
                y = LAYERS[name]().apply(tree, x)
            return jnp.sum(jnp.sin(y) * weights), (y, changed)

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, x)

    mesh = jax.make_mesh((8,), ("data",))
    sharded = jax.device_put(x, NamedSharding(mesh, P("data")))
    one = everything(variables["params"], x)
    eight = everything(variables["params"], sharded)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True):
        assert_allclose(a, b, atol=1e-5, rtol=1e-5)


@names
def test_layer_agrees_with_pytorch_to_second_order(name, rng):
    torch = pytest.importorskip("torch")
    x = rng.normal(1, 2, size=(4, 5, 6, 3)).astype(np.float32)
    variables = affine(rng, 3)
    theirs = oracles_nn.torch_norm(name, 3)
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(variables["params"]["scale"]))
        theirs.bias.copy_(torch.tensor(variables["params"]["bias"]))

    def energy(x):
        return jnp.sum(jnp.sin(apply(name, variables, x)))

    slope = jax.grad(energy)
    x_torch = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    (slope_torch,) = torch.autograd.grad(theirs(x_torch).sin().sum(), x_torch, create_graph=True)
    (second_torch,) = torch.autograd.grad(slope_torch.square().sum(), x_torch)
    second = jax.grad(lambda x: jnp.square(slope(x)).sum())(x)
    for mine, other in ((slope(x), slope_torch), (second, second_torch)):
        other = other.detach().numpy().transpose(0, 2, 3, 1)
        assert_allclose(mine, other, atol=1e-5, rtol=1e-4)


def test_running_statistics_agree_with_pytorch_over_three_steps(rng):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.BatchNorm2d(3)
    variables = {"params": {"scale": np.ones(3, "f4"), "bias": np.zeros(3, "f4")}}
    variables["batch_stats"] = statistics(3)
    for _ in range(3):
        x = rng.normal(1, 2, size=(2, 3, 2, 3)).astype(np.float32)
        theirs(torch.tensor(x.transpose(0, 3, 1, 2)))
        _, changed = BatchNorm().apply(variables, x, train=True, mutable="batch_stats")
        variables = {**variables, **changed}
    stats = variables["batch_stats"]
    assert_allclose(stats["mean"], theirs.running_mean.numpy(), atol=1e-6, rtol=1e-6)
    assert_allclose(stats["var"], theirs.running_var.numpy(), atol=1e-6, rtol=1e-6)
    x = rng.normal(1, 2, size=(2, 3, 2, 3)).astype(np.float32)
    theirs.eval()
    expected = theirs(torch.tensor(x.transpose(0, 3, 1, 2))).detach().numpy().transpose(0, 2, 3, 1)
    assert_allclose(BatchNorm().apply(variables, x, train=False), expected, atol=1e-5, rtol=1e-5)
