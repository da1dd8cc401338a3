import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.gans.penalties import (
    KINDS,
    SAMPLES,
    gradient_penalty,
    penalty_of_squared_norm,
)
from gan_forensics.nn.dcgan import Discriminator
from gan_forensics.nn.norms import GroupNorm1
from gan_forensics.nn.weights import from_torch
from tests import oracles_nn

kinds = pytest.mark.parametrize("kind", KINDS)
samples = pytest.mark.parametrize("sample", SAMPLES)

CHARGE = {
    "0-gp": lambda n: n**2,
    "1-gp": lambda n: (n - 1) ** 2,
    "lp": lambda n: np.maximum(n - 1, 0) ** 2,
}


@pytest.fixture
def batch(rng):
    """Real and fake images, and the random numbers of a penalty."""
    real, fake, noise = rng.uniform(-1, 1, size=(3, 4, 5, 5, 3)).astype(np.float32)
    return {
        "real": jnp.asarray(real),
        "fake": jnp.asarray(fake),
        "alpha": jnp.asarray(rng.uniform(size=4), jnp.float32),
        "noise": jnp.asarray(np.abs(noise)),
    }


def expected_points(batch, sample):
    real, fake, alpha, noise = (np.asarray(batch[k]) for k in ("real", "fake", "alpha", "noise"))
    if sample == "dragan":
        fake = real + 0.5 * np.std(real, ddof=1) * noise
    if sample in ("real", "fake"):
        return real if sample == "real" else fake
    return real + alpha[:, None, None, None] * (fake - real)


@kinds
@samples
@pytest.mark.parametrize("length", [0.4, 1.0, 2.5])
def test_penalty_of_a_linear_critic_depends_on_its_length_alone(kind, sample, length, batch, rng):
    w = rng.normal(size=(5, 5, 3))
    w = jnp.asarray(length * w / np.linalg.norm(w), jnp.float32)
    penalty = gradient_penalty(
        lambda x: jnp.einsum("bhwc,hwc->b", x, w), **batch, kind=kind, sample=sample
    )
    assert_allclose(penalty, CHARGE[kind](length), rtol=1e-5, atol=1e-6)


@kinds
@samples
def test_critic_is_asked_at_the_points_of_the_sample(kind, sample, batch):
    # The gradient of half the squared length of an image is the image itself.
    penalty = gradient_penalty(
        lambda x: 0.5 * jnp.square(x).sum((1, 2, 3)), **batch, kind=kind, sample=sample
    )
    lengths = np.linalg.norm(expected_points(batch, sample).reshape(4, -1), axis=1)
    assert_allclose(penalty, CHARGE[kind](lengths).mean(), rtol=1e-5)


def test_critics_of_patches_are_summed_over_them(batch):
    def patches(x):
        return 0.5 * jnp.square(x).sum((2, 3))

    def whole(x):
        return patches(x).sum(1)

    a, b = (gradient_penalty(c, **batch, kind="1-gp") for c in (patches, whole))
    assert_allclose(a, b, rtol=1e-6)


@kinds
def test_critic_that_is_constant_gets_a_gradient_of_zero_and_not_nan(kind, batch):
    def penalty(scale):
        return gradient_penalty(lambda x: scale * x.sum((1, 2, 3)), **batch, kind=kind)

    value, slope = jax.value_and_grad(penalty)(0.0)
    assert value == CHARGE[kind](0.0)
    assert slope == 0


@kinds
@pytest.mark.parametrize("n", [0.0, 1e-30, 1e-10, 0.5, 1.0, 3.0])
def test_charge_and_its_slope_are_finite_and_right_for_every_norm(kind, n):
    value, slope = jax.value_and_grad(lambda n: penalty_of_squared_norm(n * n, kind=kind))(n)
    assert_allclose(value, CHARGE[kind](n), rtol=1e-5, atol=1e-12)
    # (n - 1)^2 has the slope -2 just above 0; where n^2 underflows n counts as 0, with none.
    expected = {"0-gp": 2 * n, "1-gp": 2 * (n - 1), "lp": 2 * max(n - 1, 0)}[kind]
    assert_allclose(slope, 0 if n < 1e-20 else expected, rtol=1e-5, atol=1e-12)


@samples
def test_no_gradient_flows_to_the_images(sample, batch):
    def penalty(real, fake):
        return gradient_penalty(
            lambda x: jnp.sin(x).sum((1, 2, 3)),
            **{**batch, "real": real, "fake": fake},
            kind="1-gp",
            sample=sample,
        )

    for slope in jax.grad(penalty, (0, 1))(batch["real"], batch["fake"]):
        assert_allclose(slope, jnp.zeros_like(slope))


@pytest.mark.parametrize("sample", ["line", "dragan"])
def test_key_fixes_the_random_numbers(sample, batch, getkey):
    def penalty(key):
        return gradient_penalty(
            lambda x: jnp.square(x).sum((1, 2, 3)),
            batch["real"],
            batch["fake"],
            kind="0-gp",
            sample=sample,
            key=key,
        )

    first, second = getkey(), getkey()
    assert penalty(first) == penalty(first)
    assert penalty(first) != penalty(second)


def test_every_image_draws_its_own_alpha_between_its_two_ends(getkey):
    real, fake = jnp.zeros((500, 1, 1, 1)), jnp.ones((500, 1, 1, 1))
    penalty = gradient_penalty(
        lambda x: 0.5 * jnp.square(x).sum((1, 2, 3)), real, fake, kind="0-gp", key=getkey()
    )
    # E[alpha^2] = 1/3 for alpha ~ U[0, 1), with a standard error of 0.3 / sqrt(500) = 0.013.
    assert abs(float(penalty) - 1 / 3) < 0.05


@kinds
def test_norms_of_slopes_differ_by_what_they_take_together(kind, batch, rng):
    """The root of the mean over 75 pixels, and one norm over the 4 images."""
    w = rng.normal(size=(5, 5, 3)).astype("f")
    length = np.linalg.norm(w)
    for norm, n in (("l2", length), ("rms", length / np.sqrt(75)), ("batch", 2 * length)):
        penalty = gradient_penalty(
            lambda x: jnp.einsum("bhwc,hwc->b", x, w), **batch, kind=kind, norm=norm
        )
        assert_allclose(penalty, CHARGE[kind](n), rtol=1e-5, atol=1e-6)


def test_wrong_arguments_are_answered_with_what_is_allowed(batch, getkey):
    def critic(x):
        return x.sum((1, 2, 3))

    real, fake = batch["real"], batch["fake"]
    with pytest.raises(ValueError, match="kinds are 0-gp, 1-gp, lp"):
        gradient_penalty(critic, real, fake, kind="2-gp")  # pyright: ignore
    with pytest.raises(ValueError, match="unknown norm 'l1'; norms are l2, rms, batch"):
        gradient_penalty(critic, real, fake, kind="1-gp", norm="l1")  # pyright: ignore
    with pytest.raises(ValueError, match="samples are line, real, fake, dragan"):
        gradient_penalty(critic, real, fake, kind="0-gp", sample="both")  # pyright: ignore
    with pytest.raises(ValueError, match="pass key, or alpha$"):
        gradient_penalty(critic, real, fake, kind="0-gp")
    with pytest.raises(ValueError, match="pass key, or alpha and noise"):
        gradient_penalty(critic, real, fake, kind="0-gp", sample="dragan", alpha=batch["alpha"])
    with pytest.raises(ValueError, match="differ in shape"):
        gradient_penalty(critic, real, fake[:2], kind="0-gp", key=getkey())
    with pytest.raises(ValueError, match=r"alpha must be \[4\]"):
        gradient_penalty(critic, real, fake, kind="0-gp", alpha=batch["alpha"][:, None])


def test_gradient_in_the_critic_is_that_of_finite_differences(rng):
    with jax.enable_x64(True):
        real, fake = jnp.asarray(rng.uniform(-1, 1, size=(2, 3, 4, 4, 2)))
        weights = jnp.asarray(rng.normal(size=(4, 4, 2, 5)))
        variables = {"params": {"scale": jnp.asarray([1.5, -0.5]), "bias": jnp.asarray([0.1, 0.2])}}
        alpha = jnp.asarray([0.3, 0.8, 0.5])

        @jax.jit
        def penalty(weights):
            def critic(x):
                hidden = GroupNorm1().apply(variables, jnp.sin(2 * x * weights[None, ..., 0]))
                return jnp.tanh(jnp.einsum("bhwc,hwcd->bd", hidden, weights)).sum(1)

            return gradient_penalty(critic, real, fake, kind="1-gp", alpha=alpha)

        slope = jax.jit(jax.grad(penalty))(weights)
        direction = jnp.asarray(rng.normal(size=weights.shape))
        ahead, behind = (penalty(weights + h * direction) for h in (1e-6, -1e-6))
        assert_allclose((ahead - behind) / 2e-6, jnp.vdot(slope, direction), rtol=1e-6)


@kinds
def test_penalty_and_its_gradient_agree_with_pytorch(kind, rng):
    torch = pytest.importorskip("torch")
    twin = oracles_nn.torch_discriminator(size=32, width=4, norm="layer")
    oracles_nn.randomise(twin, seed=5)
    variables = from_torch("dcgan_discriminator", twin.state_dict())
    real, fake = rng.uniform(-1, 1, size=(2, 4, 32, 32, 3)).astype(np.float32)
    alpha = rng.uniform(size=4).astype(np.float32)

    points = real + alpha[:, None, None, None] * (fake - real)
    x = torch.tensor(points.transpose(0, 3, 1, 2), requires_grad=True)
    (slope,) = torch.autograd.grad(twin["net"](x).sum(), x, create_graph=True)
    n = slope.flatten(1).norm(dim=1)
    charge = {"0-gp": n**2, "1-gp": (n - 1) ** 2, "lp": (n - 1).clamp(min=0) ** 2}[kind].mean()
    charge.backward()
    theirs = from_torch(
        "dcgan_discriminator",
        # The last bias moves no gradient, and PyTorch leaves it out.
        {k: torch.zeros_like(p) if p.grad is None else p.grad for k, p in twin.named_parameters()},
    )["params"]

    critic = Discriminator(32, width=4, norm="layer")

    def penalty(params):
        return gradient_penalty(
            lambda x: critic.apply({"params": params}, x, train=True),
            jnp.asarray(real),
            jnp.asarray(fake),
            kind=kind,
            alpha=jnp.asarray(alpha),
        )

    value, mine = jax.jit(jax.value_and_grad(penalty))(variables["params"])
    assert_allclose(value, charge.item(), rtol=1e-5)
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
        assert_allclose(a, b, rtol=1e-4, atol=1e-5 * max(1, np.abs(b).max()))
