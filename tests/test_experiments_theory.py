"""The theory of rotation tasks and of augmented discriminators, on states that can be counted.

Numbers below were worked out beside the code, from the closed forms.
"""

import functools
import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.experiments import dag_theory, self_supervised_theory
from gan_forensics.experiments.discrete_games import (
    best_classifier,
    claim,
    claim_above,
    climb,
    js,
    kl,
    mixture,
    point_mass,
    push,
    rotations,
    stabilisers,
)
from gan_forensics.experiments.self_supervised_theory import DATA, ORBITS, SHOWN

ACTION = rotations(ORBITS)
THEORIES = {"self-supervised": self_supervised_theory, "dag": dag_theory}


@functools.cache
def results_of(theory: str) -> dict:
    return THEORIES[theory].results()


@pytest.mark.parametrize("theory", THEORIES)
def test_every_claim_holds_and_can_be_written(theory):
    results = results_of(theory)
    wrong = [row for row in results["claims"] if not row["holds"]]
    assert not wrong
    assert json.loads(json.dumps(results)) == results
    figures = THEORIES[theory].figures(results)
    assert len(figures) == 2
    assert all(caption and figure.axes for caption, figure in figures)


def test_a_wrong_claim_does_not_hold():
    assert claim("", [1.0, 2.0], [1.0, 2.000001])["holds"]
    assert not claim("", [1.0, 2.0], [1.0, 2.001])["holds"]
    assert not claim("", float("nan"), 0)["holds"]
    assert not claim_above("", 1.0, 1.0)["holds"]


def test_rotations_are_a_group_with_the_stated_symmetries():
    for j in range(4):
        for k in range(4):
            assert (ACTION[j][ACTION[k]] == ACTION[(j + k) % 4]).all()
    assert stabilisers(ACTION).tolist() == [1] * 8 + [2] * 2 + [4] * 2


def test_divergences_by_hand():
    p, q = np.array([1.0, 0.0]), np.array([0.5, 0.5])
    assert_allclose([kl(p, q), kl(q, p)], [np.log(2), np.inf])
    assert_allclose(js(p, q), (np.log(4 / 3) + 0.5 * np.log(2 / 3) + 0.5 * np.log(2)) / 2)
    assert_allclose(js(p, p[::-1]), np.log(2))
    joined = push(np.array([0.1, 0.2, 0.7]), np.array([[0, 0, 2]]))
    assert_allclose(joined, [[0.3, 0, 0.7]])


def test_brute_force_finds_what_closed_forms_say():
    p, q = np.random.default_rng(1).dirichlet(np.ones(12), 2)
    found = best_classifier(np.concatenate([push(p, ACTION), push(q, ACTION).sum(0)[None]]))
    assert_allclose(found, self_supervised_theory.ms_classifier(q, p, ACTION), atol=1e-5)
    found = best_classifier(push(p, ACTION))
    assert_allclose(found, self_supervised_theory.ss_classifier(p, ACTION), atol=1e-5)
    assert_allclose(climb(lambda r: np.log(p / r), 12, rate=0.5, steps=200), p, atol=1e-9)


def test_rotation_task_rewards_collapse_beyond_the_data():
    assert_allclose(self_supervised_theory.phi(DATA, DATA, ACTION), -0.277259, atol=1e-6)
    assert self_supervised_theory.phi(point_mass(4, 12), DATA, ACTION) == 0
    # Images that the data never show upright are told to be turned.
    assert self_supervised_theory.ss_reward(DATA, ACTION)[1] == -np.inf
    assert_allclose(
        self_supervised_theory.ss_reward(DATA, ACTION)[list(SHOWN)],
        [0, 0, -np.log(2), -np.log(4)],
        atol=1e-15,
    )


def test_best_generators_of_the_multi_class_game():
    optima = results_of("self-supervised")["optima"]
    assert_allclose(optima["MS"], [0.4848, 0.3636, 0.1212, 0.0303], atol=5e-5)
    with_gan = optima["MS, weight 0.1, with the GAN's loss"]
    assert_allclose(with_gan, [0.4175, 0.3131, 0.1861, 0.0834], atol=5e-5)


def test_phi_plus_is_best_at_its_optimum_among_random_generators():
    best = self_supervised_theory.ms_optimum(DATA, ACTION)
    value = self_supervised_theory.phi_plus(best, DATA, ACTION)
    for weights in np.random.default_rng(2).dirichlet(np.ones(4), 50):
        other = np.zeros(12)
        other[list(SHOWN)] = weights
        assert self_supervised_theory.phi_plus(other, DATA, ACTION) < value
    assert self_supervised_theory.phi_plus(np.full(12, 1 / 12), DATA, ACTION) == -np.inf


@pytest.mark.parametrize("mass", [0.5, 0.3])
def test_released_matching_form_of_a_collapsed_generator(mass):
    action = rotations((4, 4))
    data = np.zeros(8)
    data[[0, 4]] = mass, 1 - mass
    found = self_supervised_theory.released_gap(point_mass(0, 8), data, action)
    assert_allclose(found, (1 - mass) / 4 * np.log(1 + 1 / mass), rtol=1e-12)
    assert self_supervised_theory.released_gap(data, data, action) == 0


def test_classical_augmentation_misses_the_data():
    action = rotations(dag_theory.ORBITS)
    assert_allclose(js(dag_theory.DATA, mixture(dag_theory.DATA, action)), 0.3804, atol=5e-5)
    best = results_of("dag")["best"]
    assert_allclose(best["classical augmentation"], mixture(dag_theory.DATA, action), atol=1e-9)
    assert_allclose(best["DAG"], dag_theory.DATA, atol=1e-9)
    assert_allclose(best["DAG with crops"], dag_theory.DATA, atol=1e-9)


def test_one_head_leaks_and_own_heads_do_not():
    action = rotations(dag_theory.ORBITS)
    rotated = dag_theory.turned(dag_theory.DATA, action)
    paid = [
        dag_theory.shared_criterion(rotated, dag_theory.DATA, action, p)
        for p in (0, 0.5, 0.8, 0.9, 1)
    ]
    assert_allclose(paid, [0.693, 0.182, 0.034, 0.009, 0], atol=5e-4)
    own = dag_theory.dag_criterion(rotated, dag_theory.DATA, action, 0.2)
    assert_allclose(own, 1.2 * np.log(2), rtol=1e-12)


def test_maps_that_join_states_never_raise_a_divergence():
    for p, q in np.random.default_rng(3).dirichlet(np.ones(12), (20, 2)):
        after = [push(each, dag_theory.crop())[1] for each in (p, q)]
        assert js(after[0], after[1]) < js(p, q)


def test_discriminators_game_by_brute_force():
    p, q = np.random.default_rng(4).dirichlet(np.ones(12), 2)
    assert_allclose(dag_theory.game_value(p, q), 2 * js(p, q) - 2 * np.log(2), atol=1e-8)
