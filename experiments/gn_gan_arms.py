"""The arms of the Dist-GAN and GN-GAN experiment: games that differ in one thing.

Arms of one group share a game, and with it what is compiled: they differ in traced weights alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from gan_forensics.gans import (
    LOSSES,
    Game,
    Gan,
    GanConfig,
    Task,
    adversarial,
    build,
    gradient_matching_task,
    neighbour_task,
    penalised,
)
from gan_forensics.gans.autoencoder import AUTOENCODER
from gan_forensics.gans.dist_gan import (
    CORRECTED,
    Switches,
    dist_gan_penalty,
    dist_gan_task,
    distance_task,
)
from gan_forensics.gans.dist_gan_methods import SETTINGS, encoder_of, switches_of
from gan_forensics.gans.task import DISCRIMINATOR, GENERATOR


class Group(NamedTuple):
    """Arms that share a game.

    Attributes:
        gan: of all of them.
        arms: name -> the game's weights.
    """

    gan: Gan
    arms: Mapping[str, Mapping[str, float]]


# The arms on which claims are made, by what they are called in tables.
GAN, ALONE, DISTANCE = "GAN", "autoencoder alone", "Dist-GAN (distance)"
DISTANCE_GM, NE, NE_GM = "distance + GM", "NE", "GN-GAN (NE + GM)"
NE_GRADIENT, NE_PRODUCT = "NE + GM's gradient", "NE + GM's product"
NE_UNSQUARED, NE_GENERATOR = "NE, unsquared kernel", "NE in G's move"
GAN_NE = "GAN + NE in G's move"
RMS, FAKE, RELEASED = "Dist-GAN, RMS slopes", "Dist-GAN, recon. fake", "Dist-GAN, released"
DISTANCE_WEIGHT, NE_WEIGHT = "distance", "neighbours"
GM_WEIGHTS = ("gradient", "product")


def groups(config: GanConfig) -> dict[str, Group]:
    """All arms on the networks of a dist-gan config, by the group's name.

    The weights of the regulariser and the penalty are those of the architecture's setting, those
    of gradient matching 1.
    """
    built = build(config)
    config = built.config
    assert config.architecture is not None
    setting = SETTINGS[config.architecture]
    own = setting.regulariser

    def game(*tasks: Task, switches: Switches = CORRECTED, **weights: float) -> Gan:
        shared = (
            dist_gan_task(encoder_of(config), setting, switches, steps=config.decay_steps or 0),
            dist_gan_penalty(setting, switches),
        )
        return _gan(built, (*shared, *tasks), weights)

    def without_encoder(*tasks: Task, **weights: float) -> Gan:
        # The baseline has the same penalty, networks and rates.
        shared = (adversarial(LOSSES["non_saturating"]), penalised("1-gp", weight=setting.penalty))
        return _gan(built, (*shared, *tasks), weights)

    def distance(switches: Switches = CORRECTED) -> Task:
        return distance_task(setting, switches, weight=DISTANCE_WEIGHT)

    def neighbours(**options) -> Task:
        return neighbour_task(weight=NE_WEIGHT, place="autoencoder", **options)

    gradients = gradient_matching_task(gradient_weight=GM_WEIGHTS[0], product_weight=GM_WEIGHTS[1])
    both = dict.fromkeys(GM_WEIGHTS, 1.0)
    in_generator = neighbour_task(weight=NE_WEIGHT, place="generator")
    rms = CORRECTED._replace(penalty="rms")
    fake = CORRECTED._replace(reconstruction="fake")
    released = switches_of(replace(config, bundle="released"))
    far, near = {DISTANCE_WEIGHT: own}, {NE_WEIGHT: own}
    return {
        "gan": Group(without_encoder(), {GAN: {}}),
        "distance": Group(game(distance(), **far), {ALONE: {DISTANCE_WEIGHT: 0.0}, DISTANCE: far}),
        "neighbours": Group(game(neighbours(), **near), {NE: near}),
        "neighbours_matching": Group(
            game(neighbours(), gradients, **near, **both),
            {
                NE_GM: {**near, **both},
                NE_GRADIENT: {**near, "gradient": 1.0, "product": 0.0},
                NE_PRODUCT: {**near, "gradient": 0.0, "product": 1.0},
            },
        ),
        "distance_matching": Group(
            game(distance(), gradients, **far, **both), {DISTANCE_GM: {**far, **both}}
        ),
        "released": Group(game(distance(released), switches=released, **far), {RELEASED: far}),
        "rms": Group(game(distance(rms), switches=rms, **far), {RMS: far}),
        "fake": Group(game(distance(fake), switches=fake, **far), {FAKE: far}),
        "unsquared": Group(game(neighbours(power=1), **near), {NE_UNSQUARED: near}),
        "in_generator": Group(game(in_generator, **near), {NE_GENERATOR: near}),
        "gan_neighbours": Group(without_encoder(in_generator, **near), {GAN_NE: near}),
    }


def _gan(built: Gan, tasks: tuple[Task, ...], weights: Mapping[str, float]) -> Gan:
    """The networks and moves of a built GAN with other tasks; without an encoder two players."""
    game, config = built.game, built.config
    encoded = any(AUTOENCODER in task.others for task in tasks)
    players = tuple(p for p in game.players if encoded or p.name in (GENERATOR, DISCRIMINATOR))
    return Gan(
        config,
        Game(
            game.networks[GENERATOR],
            game.networks[DISCRIMINATOR],
            tasks,
            players,
            prior=game.prior,
            data=game.data,
            scale=game.scale,
            weights=weights,
        ),
    )
