# ruff: noqa: E501  # texts as they stand in the files
"""Mutations of the networks of detectors and classifiers, of front ends, of AutoGAN's simulator."""

from tests.mutations import Mutation

RESNET = (
    "gan_forensics/nn/resnet.py",
    "tests/test_nn_resnet.py tests/test_forensics_place_logits.py",
)
NPR = "gan_forensics/nn/npr.py", "tests/test_nn_npr.py"
CANVAS = "gan_forensics/nn/canvas.py", "tests/test_nn_canvas.py"
SPECTRUM = "gan_forensics/nn/spectrum_classifier.py", "tests/test_nn_spectrum_classifier.py"
CROP = "gan_forensics/spectra/autogan.py", "tests/test_spectra_autogan.py"
FIT = (
    "gan_forensics/forensics/neural_fit.py",
    "tests/test_forensics_neural_fit.py tests/test_forensics_neural_statistics.py",
)
STATISTICS = (
    "gan_forensics/forensics/neural_statistics.py",
    "tests/test_forensics_neural_statistics.py",
)
TRAINING = (
    "gan_forensics/forensics/neural_training.py",
    "tests/test_forensics_neural.py tests/test_forensics_neural_statistics.py",
)
PLACES = "gan_forensics/forensics/place_logits.py", "tests/test_forensics_place_logits.py"
EXPLAIN = (
    "gan_forensics/forensics/explanations.py",
    "tests/test_forensics_explanations.py tests/test_forensics_place_logits.py",
)
SIMULATOR = "gan_forensics/nn/autogan.py", "tests/test_nn_autogan.py"
GAME = "gan_forensics/gans/autogan.py", "tests/test_gans_autogan.py"
COMMAND = "gan_forensics/cli/simulate.py", "tests/test_gans_autogan.py"
MOBILENET = "gan_forensics/nn/mobilenet.py", "tests/test_nn_mobilenet.py"
EFFICIENTNET = "gan_forensics/nn/efficientnet.py", "tests/test_nn_efficientnet.py"
WEIGHTS = (
    "gan_forensics/nn/weights_mobilenet.py",
    "tests/test_nn_mobilenet.py tests/test_nn_efficientnet.py",
)
PUBLISHED = "gan_forensics/distill/published.py", "tests/test_distill_published.py"

CHANGES = [
    (RESNET, "if block.stride == 1 and x.shape[-1] == features:", "if x.shape[-1] == features:"),
    (
        RESNET,
        'y = layer(y, "conv2", "bn2", self.width, 3)\n',
        'y = layer(y, "conv2", "bn2", self.width, 1)\n',
    ),
    (
        RESNET,
        "return ResNet((2,), (width,), classes, dtype=dtype, block=BasicBlock)",
        "return ResNet((2, 2), (width, width), classes, dtype=dtype, block=BasicBlock)",
    ),
    (NPR, "SCALE = 2 / 3", "SCALE = 1"),
    (NPR, "first = x[:, ::2, ::2]", "first = x[:, 1::2, 1::2]"),
    (
        NPR,
        "x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]",
        "x = x[:, x.shape[1] % 2 :, x.shape[2] % 2 :]",
    ),
    (NPR, "ResNet((3, 4), widths", "ResNet((3, 3), widths"),
    (CANVAS, "sides = sides // 2 * 2", "sides = sides"),
    (
        SPECTRUM,
        "levels(at_least_float32(x[:, top : top + size, left : left + size])) / 255",
        "levels(at_least_float32(x[:, top : top + size, left : left + size]))",
    ),
    (SPECTRUM, "/ (std + (std == 0))", "/ std"),
    (SPECTRUM, "FLOOR = 1e-3", "FLOOR = 1e-12"),
    (CROP, "min(SIZE, 7 * min(height, width) // 8)", "min(SIZE, min(height, width))"),
    (
        CROP,
        "slice(*(round(share * size) for share in limits))",
        "slice(*(round(share * SIZE) for share in limits))",
    ),
    (FIT, 'variables["batch_stats"] = found', "pass"),
    (
        FIT,
        "label = np.repeat(np.arange(2, dtype=np.int32)",
        "label = np.repeat(np.arange(1, -1, -1, dtype=np.int32)",
    ),
    (STATISTICS, "values[: len(images)]", "values"),
    (TRAINING, 'stats = {**stats, "batch_stats": own_statistics}', "pass"),
    (TRAINING, "optax.ema(0.9, debias=False)", "optax.trace(0.9)"),
    (PLACES, '+ last["bias"][0]', ""),
    (EXPLAIN, "network.clone(front=None) if residual else network", "network"),
    (EXPLAIN, "places[np.ix_(rows, columns)]", "places[np.ix_(rows[::-1], columns)]"),
    (SIMULATOR, '"output_padding": 1, "use_bias": False', '"output_padding": 0, "use_bias": False'),
    (SIMULATOR, "2 if i < self.layers else 1", "2"),
    (GAME, "+ config.copying * difference", "+ difference"),
    (
        GAME,
        "half_linear_decay(2 * config.learning_rate, config.steps)",
        "half_linear_decay(config.learning_rate, config.steps)",
    ),
    (GAME, "copies[: len(made[rows])]", "copies[: len(made[rows])][::-1]"),
    (COMMAND, "upsampling=self.upsampling", 'upsampling="transposed"'),
    (COMMAND, "blocks=self.blocks", "blocks=9"),
    (MOBILENET, "y, at = nn.relu6(layer(", "y, at = nn.relu(layer("),
    (MOBILENET, "return y + x if", "return y if"),
    (MOBILENET, "max(1.0, scale)", "scale"),
    (MOBILENET, "deterministic=not train", "deterministic=True"),
    (EFFICIENTNET, '"torchvision": {}', '"torchvision": {"padding": "SAME"}'),
    (EFFICIENTNET, '"torchvision": {}', '"torchvision": {"epsilon": 1e-3}'),
    (EFFICIENTNET, "self.dtype, self.convention, name", "self.dtype, name"),
    (WEIGHTS, 'at = 1 if any_name(state, f"{block}.conv.3.") else 0', "at = 1"),
    (WEIGHTS, 'at = 1 if any_name(state, f"{block}.3.") else 0', "at = 1"),
    (WEIGHTS, "for i in range(count_in(", "for i in range(0 * count_in("),
    (PUBLISHED, "if wanted != found:", "if False:"),
    (PUBLISHED, "lambda a: a.astype(np.float32)", "lambda a: a"),
    (PUBLISHED, "if not np.isfinite(leaf).all():", "if False:"),
    (PUBLISHED, "own = [name for name in ARCHITECTURES if _fits(name, state)]", "own = []"),
]
MUTATIONS = [Mutation(place[0], old, new, place[1]) for place, old, new in CHANGES]
