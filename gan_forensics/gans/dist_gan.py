"""Dist-GAN: a GAN whose generator is tied to its data by an encoder (Tran et al., ECCV 2018).

Three players. With x real, z_e = E(x), x_f = G(z), x_r = G(z_e), l the discriminator's logit,
s = sigmoid(l) its score and f its features:

    autoencoder     mean (f(x) - f(x_r))^2 + lambda_r reg             moves E and G
    discriminator   w_x L+(x) + w_r L+(x_r) + L-(x_f) + lambda_p GP   reconstructions count as real
    generator       | mean s(x) - mean s(x_f) |                       the score distance

    reg = (m_x - m_z)^2,  m_x = mean(f(x_r) - f(x_f)),  m_z = lambda_w mean(z_e - z)

with means over all entries, so that the latent-data distance `reg` is one scalar equation for each
minibatch, and lambda_w = sqrt(latent / features). GN-GAN (Tran et al., AAAI 2019) puts a neighbour
embedding in the place of reg and adds gradient matching to the generator's loss.

Everything here is as in the authors' released code, which differs from the paper's idea in places
that belong together; what is taken as released and what as meant is a bundle of `Switches`. The
authors released no code of GN-GAN: what is known of it is said where it stands.
"""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_forensics.gans.autoencoder import (
    AUTOENCODER,
    ENCODER,
    encoded,
    judged_reconstruction,
    reconstructed,
)
from gan_forensics.gans.context import Context
from gan_forensics.gans.game import penalised
from gan_forensics.gans.losses import AdversarialLoss
from gan_forensics.gans.penalties import Norm
from gan_forensics.gans.task import GENERATOR, Loss, PairLoss, Task, Weight

Values = Float[Array, "..."]
Scalar = Float[Array, ""]

# The 1e-5 of the released code for points on a line keeps its logarithms finite.
_LINE_EPSILON = 1e-5
GUARDED = AdversarialLoss(
    "guarded",
    on_real=lambda r: -jnp.log(jax.nn.sigmoid(r) + _LINE_EPSILON),
    on_fake=lambda f: -jnp.log(1 - jax.nn.sigmoid(f) + _LINE_EPSILON),
    on_generated=lambda f: -jnp.log(jax.nn.sigmoid(f) + _LINE_EPSILON),
)
_JUDGED = ("real", "reconstruction", "fake")
# Reconstructions in (0, 1) stay so far from its ends where their cross entropy is taken.
_INSIDE = 1e-7


class Switches(NamedTuple):
    """What the released code and the idea disagree on; the defaults are the idea.

    Attributes:
        penalty: norm of the discriminator's slopes.
        penalty_sign: +1, or -1 where the penalty is *maximised*.
        hinge_on: what a hinge loss is taken of.
        reconstruction: what reconstructions count as for the discriminator.
        anchor: what m_x measures generated images from.
        trains: what the autoencoder's move trains.
        features: d_f of lambda_w; by default as many as the discriminator has.
    """

    penalty: Norm = "l2"
    penalty_sign: Literal[1, -1] = 1
    hinge_on: Literal["logit", "score"] = "logit"
    reconstruction: Literal["real", "fake"] = "real"
    anchor: Literal["reconstruction", "real"] = "reconstruction"
    trains: tuple[str, ...] = (ENCODER, GENERATOR)
    features: int | None = None


CORRECTED = Switches()


class Setting(NamedTuple):
    """What a backbone is trained with, beside the switches.

    Attributes:
        loss: the adversarial loss of the discriminator.
        penalty: lambda_p.
        regulariser: lambda_r.
        space: of the autoencoder: "features" of the discriminator, or the data themselves, by
            their squared error ("data") or, where they lie in [0, 1], their cross entropy
            ("unit data").
        share: w_r of the discriminator; w_x is 1 less it. None for the released schedule,
            0.05 - mu.
    """

    loss: AdversarialLoss
    penalty: float = 1.0
    regulariser: float = 1.0
    space: Literal["features", "data", "unit data"] = "features"
    share: float | None = None


def latent_data_distance(
    anchor: Values, fake: Values, codes: Values, z: Values, *, lambda_w: float = 1.0
) -> Scalar:
    """reg = (mean(anchor - fake) - lambda_w mean(codes - z))^2, means over all entries.

    Args:
        anchor: features (or data) of the reconstructions.
        fake: those of generated images.
        codes: z_e.
        z: the noise.
        lambda_w: the scale that brings codes and features together.
    """
    return ((anchor - fake).mean() - lambda_w * (codes - z).mean()) ** 2


def score_distance(real_logits: Values, fake_logits: Values) -> Scalar:
    """|mean s(x) - mean s(x_f)| of the sigmoid scores, from 0 to 1."""
    return jnp.abs(jax.nn.sigmoid(real_logits).mean() - jax.nn.sigmoid(fake_logits).mean())


def real_weight_gain(step: Int[Array, ""], steps: int) -> Scalar:
    """mu = clip(2 (0.1 t - 0.05), 0, 0.05) with t = step / steps: 0 up to t = 1/2, 0.05 from 3/4.

    Example:
        >>> [round(float(real_weight_gain(jnp.asarray(k), 10)), 2) for k in (0, 5, 6, 8, 10)]
        [0.0, 0.0, 0.02, 0.05, 0.05]
    """
    return jnp.clip(2 * (0.1 * step / steps - 0.05), 0, 0.05)


def discriminator_loss(
    real: Values,
    reconstruction: Values,
    fake: Values,
    *,
    loss: AdversarialLoss,
    share: Scalar | float,
    switches: Switches = CORRECTED,
) -> Scalar:
    """What the discriminator minimises, but for its penalty.

    Args:
        real: logits l(x).
        reconstruction: logits l(x_r).
        fake: logits l(x_f).
        loss: the adversarial loss.
        share: w_r, the weight of the reconstructions; that of the real images is 1 - w_r.
        switches: `hinge_on` and `reconstruction` are read.
    """
    if loss.name == "hinge" and switches.hinge_on == "score":
        real, reconstruction, fake = (jax.nn.sigmoid(x) for x in (real, reconstruction, fake))
    of_reconstruction = loss.on_real if switches.reconstruction == "real" else loss.on_fake
    return (
        (1 - share) * loss.on_real(real).mean()
        + share * of_reconstruction(reconstruction).mean()
        + loss.on_fake(fake).mean()
    )


def dist_gan_task(
    encoder: nn.Module, setting: Setting, switches: Switches = CORRECTED, *, steps: int = 0
) -> Task:
    """What the three players of every Dist-GAN have: score distance, reconstruction, judgement.

    Without a regulariser and a penalty: these are tasks of their own, `distance_task` or
    `gan_forensics.gans.neighbours.neighbour_task`, and `dist_gan_penalty`.

    Args:
        encoder: E, which joins the game as "encoder"; the player "autoencoder" trains it.
        setting: loss, space and share are read.
        switches: the bundle.
        steps: of the run, which the released schedule of w_r is a share of.
    """

    def share(context: Context) -> Scalar | float:
        if setting.share is not None:
            return setting.share
        return 0.05 - real_weight_gain(context.step, steps)

    def judgement(logits: Mapping[str, Values], context: Context) -> Scalar:
        judged = (logits[owner] for owner in _JUDGED)
        return discriminator_loss(
            *judged, loss=setting.loss, share=share(context), switches=switches
        )

    def discriminator(context: Context) -> Loss:
        real, fake = context.real["logits"], context.fake["logits"]
        reconstruction = judged_reconstruction(context)["logits"]
        logits = {"real": real, "reconstruction": reconstruction, "fake": fake}
        value = judgement(logits, context)
        means = {
            "real_logit": real.mean(),
            "fake_logit": fake.mean(),
            "reconstruction_logit": reconstruction.mean(),
        }
        return Loss(value, {"adversarial": value, **means})

    def generator(context: Context) -> Loss:
        distance = score_distance(context.real["logits"], context.fake["logits"])
        return Loss(distance, {"score_distance": distance})

    def autoencoder(context: Context) -> Loss:
        if setting.space == "features":
            real, made = context.real["features"], judged_reconstruction(context)["features"]
        else:
            real, made = context.images("real"), reconstructed(context)
        error = reconstruction_error(real, made, cross_entropy=setting.space == "unit data")
        # The encoder is free to leave the prior's range: its spread tells.
        return Loss(error, {"reconstruction": error, "code_std": encoded(context).std()})

    pair = PairLoss(
        judgement,
        lambda logits, context: score_distance(logits["real"], logits["fake"]),
        discriminator_sees=_JUDGED,
        generator_sees=("real", "fake"),
    )
    own = ((discriminator,), (generator,), {ENCODER: encoder})
    return Task(*own, {AUTOENCODER: (autoencoder,)}, pair)


def reconstruction_error(real: Values, made: Values, *, cross_entropy: bool = False) -> Scalar:
    """mean (real - made)^2, or the mean cross entropy -(x ln r + (1 - x) ln(1 - r)) in [0, 1]."""
    if not cross_entropy:
        return jnp.square(real - made).mean()
    made = made.clip(_INSIDE, 1 - _INSIDE)
    return -(real * jnp.log(made) + (1 - real) * jnp.log1p(-made)).mean()


def distance_task(
    setting: Setting, switches: Switches = CORRECTED, *, weight: Weight | None = None
) -> Task:
    """The latent-data distance, a term of the autoencoder's. Reports "distance", without weight.

    Args:
        setting: space is read, and lambda_r where no weight is given.
        switches: anchor and features are read.
        weight: lambda_r.
    """

    def autoencoder(context: Context) -> Loss:
        codes, z = encoded(context), context.draws.z
        if setting.space == "features":
            fake = context.fake["features"]
            real = switches.anchor == "real"
            judged = context.real if real else judged_reconstruction(context)
            anchor = judged["features"]
            lambda_w = math.sqrt(z.shape[-1] / (switches.features or fake.shape[-1]))
        else:
            fake, lambda_w = context.images("fake"), 1.0
            real = switches.anchor == "real"
            anchor = context.images("real") if real else reconstructed(context)
        distance = latent_data_distance(anchor, fake, codes, z, lambda_w=lambda_w)
        own = setting.regulariser if weight is None else weight
        return Loss(context.weigh(own) * distance, {"distance": distance})

    return Task(others={AUTOENCODER: (autoencoder,)})


def dist_gan_penalty(setting: Setting, switches: Switches = CORRECTED) -> Task:
    """The gradient penalty between real and generated data, by the bundle's norm and sign."""
    return penalised("1-gp", norm=switches.penalty, weight=switches.penalty_sign * setting.penalty)
