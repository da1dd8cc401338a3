# ruff: noqa: E501  # texts as they stand in the files
"""Mutations of the corruptions, the table of perturbations, and `detect robustness`."""

from tests.mutations import Mutation

BLUR, WEATHER = "gan_forensics/data/corruption_blur.py", "gan_forensics/data/corruption_weather.py"
ELASTIC, SPATTER = (
    f"gan_forensics/data/corruption_{name}.py" for name in ("elastic", "spatter")
)  # fmt: skip
HOST = "tests/test_data_corruptions.py"
PERTURBATIONS = "gan_forensics/data/perturbations.py"
MUTATIONS = [
    Mutation("gan_forensics/data/corruption_scale.py", "min(shape[:2])", "max(shape[:2])", HOST),
    Mutation(
        "gan_forensics/data/corruption_scale.py",
        "(np.clip(values, 0, 1) * 255)",
        "(np.clip(values, 0, 1) * 255 + 0.5)",
        HOST,
    ),
    Mutation("gan_forensics/data/corruption_noise.py", "<= 0.5)", "<= 0.3)", HOST),
    Mutation(BLUR, "sigma * scale, rng.uniform(-45, 45)", "sigma, rng.uniform(-45, 45)", HOST),
    Mutation(
        BLUR,
        "zip(to, source.ravel().tolist(), strict=True):\n            came_from[there] = came_from[here]",
        "zip(to, source.ravel().tolist(), strict=True):\n            came_from[there] = here",
        HOST,
    ),
    Mutation(BLUR, "right, down = np.moveaxis", "down, right = np.moveaxis", HOST),
    Mutation(BLUR, "(part - 1) / max(size - 1, 1)", "part / size", HOST),
    Mutation(
        WEATHER,
        "wobble * rng.uniform(-wobble, wobble, total.shape)",
        "rng.uniform(-wobble, wobble, total.shape)",
        HOST,
    ),
    Mutation(WEATHER, "np.rot90(layer, 2)", "layer[::-1]", HOST),
    Mutation(
        ELASTIC,
        "for _ in range(2)\n    )\n",
        "for _ in range(2)\n    )\n    right, down = down, right\n",
        HOST,
    ),
    Mutation(ELASTIC, "image.shape) * scale\n", "image.shape)\n", HOST),
    Mutation(
        SPATTER,
        "(right < 0) != (down < 0), rising, falling",
        "(right < 0) == (down < 0), rising, falling",
        HOST,
    ),
    Mutation(SPATTER, "    mask[mask < MUD_EDGE] = 0\n", "", HOST),
    Mutation(
        "gan_forensics/data/corruption_frost.py", "path.name != NEVER_DRAWN", "path.name", HOST
    ),
    Mutation(
        "gan_forensics/data/corruptions.py", "severity, rng)[..., order]", "severity, rng)", HOST
    ),
    Mutation(
        "gan_forensics/data/device_corruptions.py",
        "fold_in(key, index)",
        "fold_in(key, 0)",
        "tests/test_data_device_corruptions.py",
    ),
    Mutation(
        "gan_forensics/data/device_corruptions.py",
        "lacks * wanted",
        "lacks * factor",
        "tests/test_data_device_corruptions.py",
    ),
    Mutation(
        PERTURBATIONS,
        "rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(image).tobytes()))",
        "rng = np.random.default_rng()",
        "tests/test_data_perturbations.py",
    ),
    Mutation(
        PERTURBATIONS,
        'name.replace("frost", PROCEDURAL) if name in frosts else name',
        'name.replace("frost", PROCEDURAL) if name == "frost" else name',
        "tests/test_data_perturbations.py",
    ),
    Mutation(
        "gan_forensics/data/strengths.py",
        "second(first(image, FIRST), quality)",
        "second(image, quality)",
        "tests/test_data_strengths.py",
    ),
    Mutation(
        "gan_forensics/report/robustness.py",
        '"real_accuracy_low": 1 - alarms.high',
        '"real_accuracy_low": 1 - alarms.low',
        "tests/test_cli_robustness.py",
    ),
    Mutation(
        "gan_forensics/report/robustness.py",
        'order = ["none", *SEVERAL[kind]]',
        'order = ["none", *sorted(SEVERAL[kind])]',
        "tests/test_cli_robustness.py",
    ),
    Mutation(
        "gan_forensics/forensics/measure.py",
        "scores = after[0][place], after[fake][place]",
        "scores = after[0][place], after[1][place]",
        "tests/test_cli_robustness.py",
    ),
    Mutation(
        "gan_forensics/cli/robustness.py",
        "frost_textures=self.frost_textures)\n            if said:",
        "frost_textures=self.frost_textures)\n            if not said:",
        "tests/test_cli_robustness.py",
    ),
]
