# ruff: noqa: E501  # texts as they stand in the files
"""Mutations of RepMix and of attribution: mixing, losses, training, protocol, files, maps."""

from tests.mutations import Mutation

FORENSICS = "gan_forensics/forensics/"
REPMIX = f"{FORENSICS}repmix.py", "tests/test_forensics_repmix.py"
NETWORK = "gan_forensics/nn/attribution.py", "tests/test_forensics_repmix.py"
RESNET = "gan_forensics/nn/resnet.py", "tests/test_forensics_repmix.py"
NETWORKS = f"{FORENSICS}attribution_networks.py", "tests/test_forensics_attribution_training.py"
TRAINING = f"{FORENSICS}attribution_training.py", "tests/test_forensics_attribution_training.py"
FITTING = f"{FORENSICS}attribution.py", "tests/test_forensics_attribution.py"
PARTS = f"{FORENSICS}attribution_parts.py", "tests/test_forensics_attribution.py"
MEASURE = f"{FORENSICS}attribution_measure.py", "tests/test_forensics_attribution.py"
FILES = f"{FORENSICS}attribution_files.py", "tests/test_forensics_attribution.py"
MAP = f"{FORENSICS}attribution_map.py", "tests/test_forensics_attribution_map.py"
COMMAND = "gan_forensics/forensics/attributor_scorer.py", "tests/test_cli_attribute.py"
FIT = "gan_forensics/cli/attribute_fit.py", "tests/test_cli_attribute.py"

CHANGES = [
    (REPMIX, "h.reshape(*weights.shape, *h.shape[1:])", "h.reshape(weights.shape[1], weights.shape[0], *h.shape[1:]).swapaxes(0, 1)"),
    (REPMIX, "jnp.arange(classes) == real, r[..., :1], r[..., 1:]", "jnp.arange(classes) == 0, r[..., :1], r[..., 1:]"),
    (REPMIX, "jnp.where(generated == 1, 1 / (classes - 1), 1.0)", "jnp.where(generated == 1, 1.0, 1 / (classes - 1))"),
    (REPMIX, "_cross_entropy(detection, generated)", "_cross_entropy(detection, 1 - generated)"),
    (REPMIX, "[concentration] * images", "[1.0] * images"),
    (NETWORK, 'product(embed["bias"], sources["kernel"]) + sources["bias"]', 'embed["bias"].sum() + sources["bias"]'),
    (RESNET, "            x = between(stage + 2, x)", "            x = between(stage + 1, x)"),
    (RESNET, "        x = between(1, x)\n", ""),
    (NETWORKS, "logits = gated(said.sources, said.detection, real=real)", "logits = said.sources"),
    (NETWORKS, "optax.chain(optax.add_decayed_weights(DECAY), optax.adam(schedule))", "optax.adamw(schedule, weight_decay=DECAY)"),
    (NETWORKS, "optax.add_decayed_weights(DECAY, mask=kernels)", "optax.add_decayed_weights(DECAY)"),
    (NETWORKS, "epoch, RATE_FALLS, staircase=True", "2 * epoch, RATE_FALLS, staircase=True"),
    (NETWORKS, "jnp.log(jnp.abs(coefficients) + EPSILON)", "jnp.abs(coefficients)"),
    (TRAINING, "partners = rng.integers(len(self.source), ", "partners = rng.integers(2, "),
    (TRAINING, "label = np.concatenate([label, others", "label = np.concatenate([label, label + 0 * others"),
    (TRAINING, "            image = image[:, ::-1]\n", "            image = image[::-1]\n"),
    (TRAINING, 'state = load_state(folder, learner, best=METRIC)', 'state = learner.start(config.seed)'),
    (FITTING, "return self.knownness(outputs) < self.threshold", "return self.knownness(outputs) > self.threshold"),
    (FITTING, "Outputs(np.asarray(outputs.logits) / self.temperature, outputs.features)", "Outputs(np.asarray(outputs.logits), outputs.features)"),
    (FITTING, "names = tuple(sorted(train.names))", "names = train.names"),
    (FITTING, "image = self.preprocessing(np.repeat(", "image = (np.repeat("),
    (PARTS, "place[images.labels]", "images.labels"),
    (PARTS, "np.array_split(rows, 2)", "np.array_split(np.repeat(rows, 2), 2)"),
    (PARTS, "set(train.names) != set(other.names) or train.real != other.real", "len(train.names) != len(other.names)"),
    (MEASURE, "SEEN: ~unseen & (real | ~fresh)", "SEEN: ~unseen"),
    (MEASURE, "most // len(by_seed)", "most"),
    (MEASURE, "np.random.default_rng((seed, 21, int(row)))", "np.random.default_rng((seed, 21, len(some)))"),
    (FILES, 'header["real"] not in names', 'not header["real"]'),
    (FILES, "0 <= labels.min() <= labels.max() < classes", "0 <= labels.min()"),
    (FILES, "np.isfinite(logits).all() and np.isfinite(features).all()", "np.isfinite(logits).all()"),
    (MAP, "Explanation(logit, gate * one.relevance, gate * one.guided)", "Explanation(logit, one.relevance, one.guided)"),
    (MAP, "array[..., source : source + 1]", "array[..., :1]"),
    (COMMAND, "1 - probabilities[model.real_index]", "probabilities[model.real_index]"),
    (COMMAND, "NONE if unknown else", "NONE if not unknown else"),
    (FIT, 's in self.unseen or i in self.new_seeds', 's in self.unseen'),
]  # fmt: skip
MUTATIONS = [Mutation(file, old, new, tests) for (file, tests), old, new in CHANGES]
