"""R3GAN's loss: relativistic pairs, and two zero-centred penalties (Huang et al., NeurIPS 2024).

With r_i and f_i the logits of the i-th real and generated image of a batch and s the softplus

    discriminator   mean s(f_i - r_i) + gamma / 2 (R1 + R2)
    generator       mean s(r_i - f_i),   on real images of its own

where R1 and R2 are the mean squared norms of the logit's gradient at real and at generated images,
summed over the pixels of images in [-1, 1], which are not augmented. The loss does not say where a
logit of 0 stands: it only compares.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.gans.context import Context
from gan_forensics.gans.task import Loss, PairLoss, Task, Weight

GAMMA = 1.0
_SMALLEST = 1e-12


def relativistic_loss(mine: Float[Array, " b"], others: Float[Array, " b"]) -> Float[Array, ""]:
    """mean softplus(others - mine): small where each of mine is above its partner.

    Example:
        >>> round(float(relativistic_loss(jnp.zeros(3), jnp.zeros(3))), 4)
        0.6931
    """
    return jax.nn.softplus(others - mine).mean()


PAIR = PairLoss(
    lambda logits, context: relativistic_loss(logits["real"], logits["fake"]),
    lambda logits, context: relativistic_loss(logits["fake"], logits["real"]),
    generator_sees=("real", "fake"),
    zero=False,
)


def _fused(
    context: Context, images: Float[Array, "2b *shape"], weight: Float[Array, ""] | float
) -> tuple[Float[Array, " 2b"], Float[Array, "2b *shape"], Float[Array, ""]]:
    """Logits and slopes g of interleaved pairs, and what has the gradient of loss and penalties.

    With c_i the derivative of the loss by logit i, and D_i(u) = <g_i, u> + beta_i the affine map
    that the discriminator is around image x_i, loss and penalties have the gradient of

        sum_i c_i D_i(x_i) + weight / b <g_i, stop(g_i)> = sum_i c_i D_i(x_i + weight g_i / (b c_i))

    by the parameters. So all is one pass, its slopes, and one pass back through these: four
    products of each layer where the loss alone takes three, and differentiating twice six.
    """
    logits, pull = context.by_pieces(images)
    stopped = jax.lax.stop_gradient(logits)
    pair = {"real": stopped[::2], "fake": stopped[1::2]}
    by_owner = jax.grad(lambda pair: PAIR.discriminator(pair, context))(pair)
    c = jnp.stack([by_owner["real"], by_owner["fake"]], 1).reshape(-1)
    # Where the discriminator is sure, c vanishes; c g is divided by it twice.
    c = jnp.where(jnp.abs(c) < _SMALLEST, jnp.copysign(_SMALLEST, c), c)
    by_image, constant = pull(c)
    wide = c.reshape(-1, *(1,) * (images.ndim - 1))
    slopes = jax.lax.stop_gradient(by_image) / wide
    places = images + weight * 2 / len(images) * slopes / wide
    return stopped, slopes, jnp.vdot(by_image, places) + constant


def relativistic_task(*, gamma: Weight = GAMMA, unit: bool = False) -> Task:
    """The adversarial task of R3GAN, in the place of `adversarial`.

    The discriminator must not tie images of a batch together (no batch norm). Its pass and the
    slopes of both penalties are one pass over real and generated images, differentiated once more
    than a plain one where the discriminator is `piecewise_linear`; where the game augments images,
    there is one more, since the penalties are of the images as they are. Reports
    "adversarial", the logits' means, and the penalties "r1" and "r2" without gamma / 2.

    Args:
        gamma: weight of the penalties; squares grow with the number of pixels' slopes, so it
            belongs to data and size.
        unit: whether the networks see images in [0, 1], where slopes are twice as steep.

    Example:
        >>> relativistic_task(gamma=0.5)
        Task(discriminator: relativistic_task; generator: relativistic_task)
    """

    def discriminator(context: Context) -> Loss:
        owners = ("real", "fake")
        # Interleaved, so that a batch that is split over devices stays where it is.
        images = jnp.stack([jax.lax.stop_gradient(context.images(o)) for o in owners], 1)
        pixels = images.reshape(-1, *images.shape[2:])
        weight = context.weigh(gamma) / (4 if unit else 1)
        fused = context.piecewise_linear and not context.augments
        if fused:
            logits, slopes, surrogate = _fused(context, pixels, weight)
        else:
            logits, slopes = context.with_slopes(pixels, None)
        squares = jnp.square(slopes).sum(range(1, slopes.ndim)) / (4 if unit else 1)
        r1, r2 = squares[::2].mean(), squares[1::2].mean()
        if context.augments:
            real, fake = (context.judged(o)["logits"] for o in owners)
        else:
            real, fake = logits[::2], logits[1::2]
        value = PAIR.discriminator({"real": real, "fake": fake}, context)
        means = {"real_logit": real.mean(), "fake_logit": fake.mean(), "r1": r1, "r2": r2}
        total = value + context.weigh(gamma) / 2 * (r1 + r2)
        if fused:
            total = jax.lax.stop_gradient(total) + surrogate - jax.lax.stop_gradient(surrogate)
        return Loss(total, {"adversarial": value, **means})

    def generator(context: Context) -> Loss:
        logits = {"real": context.real["logits"], "fake": context.fake["logits"]}
        value = PAIR.generator(logits, context)
        return Loss(value, {"adversarial": value})

    return Task((discriminator,), (generator,), pair=PAIR)
