"""Operations and memory of a step, against what can be counted by hand and what XLA counts."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from numpy.testing import assert_allclose

from gan_forensics.train import Aux, Learner, Update
from gan_forensics.train.cost import _flops, _fullest, _working, step_cost

IMAGE, KERNEL = (2, 9, 9, 3), (3, 3, 3, 4)


def traced(function, *shapes):
    return jax.make_jaxpr(function)(*(jnp.zeros(s, jnp.float32) for s in shapes)).jaxpr


def convolution(**options):
    def convolve(x, w):
        dimensions = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, w, dimension_numbers=dimensions, **options)

    return convolve


def test_a_product_takes_two_operations_for_each_pair():
    assert _flops(traced(lambda a, b: a @ b, (5, 7), (7, 3))) == 2 * 5 * 7 * 3


def test_elementwise_operations_and_sums_take_one_for_each_number():
    assert _flops(traced(lambda x: (jnp.tanh(x) * 2).sum(), (4, 5))) == 3 * 20


def test_what_nobody_asks_for_is_not_counted():
    def wasteful(x):
        jnp.tanh(x)
        return x + 1

    assert _flops(traced(wasteful, (6,))) == 6


def test_repeats_count_as_often_as_they_run():
    def repeated(x):
        return lax.scan(lambda c, _: (c * 2, None), x, None, length=7)[0]

    assert _flops(traced(repeated, (3,))) == 21


def test_of_branches_the_longest_counts():
    def branching(x):
        return lax.cond(x[0] > 0, lambda x: x * 2 + 1, lambda x: x * 3, x)

    assert _flops(traced(branching, (5,))) - _flops(traced(lambda x: x[0] > 0, (5,))) == 10


@pytest.mark.parametrize(
    "options",
    [
        {"window_strides": (1, 1), "padding": "SAME"},
        {"window_strides": (2, 2), "padding": ((1, 2), (0, 1))},
        {"window_strides": (1, 1), "padding": ((1, 1), (2, 0)), "lhs_dilation": (2, 2)},
        {"window_strides": (1, 2), "padding": "VALID", "rhs_dilation": (2, 1)},
    ],
)
def test_a_convolution_takes_what_xla_counts(options):
    convolve = convolution(**options)
    ours = [_flops(traced(f, IMAGE, KERNEL)) for f in (convolve, jax.grad(_energy(convolve)))]
    given = [jax.ShapeDtypeStruct(s, jnp.float32) for s in (IMAGE, KERNEL)]
    theirs = [
        jax.jit(f).lower(*given).cost_analysis()["flops"]  # pyright: ignore
        for f in (convolve, jax.grad(_energy(convolve)))
    ]
    assert ours[0] == theirs[0]
    # The elementwise rest is counted alike, but for one operation that XLA leaves out.
    made = jax.eval_shape(convolve, *given).size
    assert_allclose(ours[1], theirs[1], rtol=0, atol=made)


def _energy(convolve):
    return lambda x, w: (convolve(x, w) ** 2).sum()


def test_grouped_convolutions_take_the_inputs_of_a_group_alone():
    convolve = convolution(window_strides=(1, 1), padding="VALID", feature_group_count=3)
    assert _flops(traced(convolve, IMAGE, (3, 3, 1, 6))) == 2 * 2 * 7 * 7 * 6 * 9


def test_memory_is_that_of_what_is_still_needed():
    def chain(x):
        y = jnp.tanh(x)  # 400 bytes, needed to the end
        z = (y * 2).sum()  # 400 more, freed by the sum
        return y + z

    assert _fullest(traced(chain, (100,))) == 804  # y, the product, and its sum
    assert _fullest(traced(chain, (100,)), donated=0) == 400 + 804
    assert _working(traced(lambda a, b: a @ b, (5, 7), (7, 3))) == 4 * (35 + 21 + 15)


def test_names_take_no_memory_and_keep_what_they_name():
    def named(x):
        y = jnp.tanh(x).reshape(2, 50)
        return (y + 1).sum() + y.sum()

    assert _fullest(traced(named, (100,))) == 804


def test_a_step_is_the_sum_of_what_it_holds():
    def start(seed):
        return {"line": {"slope": np.ones(2, np.float32)}}, {}

    def loss(trainable, frozen, stats, batch, key, step):
        error = batch["x"] @ trainable["line"]["slope"] - batch["y"]
        return (error**2).mean(), Aux({}, {})

    update = Update("fit", ("line",), loss, optax.adam(0.1), repeats=3)
    minibatch = {"x": np.zeros((8, 2), np.float32), "y": np.zeros(8, np.float32)}
    cost = step_cost(Learner("line", {}, (update,), start), minibatch)
    assert cost.parameters == {"line": 2}
    assert cost.memory["parameters"] == cost.memory["gradients"] == 8
    assert cost.memory["optimisers"] == 2 * 8 + 4  # both moments, and the count
    assert cost.memory["batch"] == 3 * 8 * 3 * 4
    assert cost.total == sum(cost.memory.values())
    assert cost.flops > 3 * 2 * (2 * 8 * 2)  # the product and its adjoint, three times
    assert cost.lines()[1].startswith("memory at most about ")
    twice = step_cost(
        Learner("line", {}, (update, update._replace(name="again")), start), minibatch
    )
    assert twice.memory["gradients"] == 8, "those of one move at a time"
