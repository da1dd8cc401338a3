"""Changes of what a script or a notebook is given, that tests must notice; see `mutations.py`.

What images are taken for at their door, training from memory, networks that somebody else wrote,
and progress where nobody looks.
"""

from tests.mutations import Mutation

DOOR, DOOR_TESTS = "gan_forensics/data/given_images.py", "tests/test_data_given_images.py"
FIT, FIT_TESTS = "gan_forensics/gans/fitting.py", "tests/test_gans_fitting.py"
MAKE, OFFERED = "gan_forensics/gans/make.py", "gan_forensics/gans/offered.py"
GIVEN = "tests/test_gans_make.py -k is_given"
WRONG = "tests/test_gans_make.py -k 'what_cannot_work'"
CURVES, CURVE_TESTS = "gan_forensics/spectra/curve_sets.py", "tests/test_spectra_curve_sets.py"

MUTATIONS = [
    Mutation(DOOR, 'not Path(name).exists() and ":" in name:', '":" in name:', DOOR_TESTS),
    Mutation(
        DOOR,
        "if array.dtype == np.uint8 and (low, high) == (0, 255):",
        "if array.dtype == np.uint8:",
        DOOR_TESTS,
    ),
    Mutation(
        DOOR,
        "return images if size is None else resized(images, size)",
        "return images",
        DOOR_TESTS,
    ),
    Mutation(
        DOOR,
        'return {**example, "image": square(example["image"], size=self._size)}',
        'return {"image": square(example["image"], size=self._size)}',
        DOOR_TESTS,
    ),
    Mutation(DOOR, "self._channels: Any = max(", "self._channels: Any = min(", DOOR_TESTS),
    Mutation(DOOR, "slack = _ROUNDING * (high - low)", "slack = 0.0", DOOR_TESTS),
    Mutation(
        DOOR, "elif Path(name).expanduser().is_dir():", "elif Path(name).is_dir():", DOOR_TESTS
    ),
    Mutation(
        FIT, "cadence=Cadence(first + steps)", "cadence=Cadence(max(first, steps))", FIT_TESTS
    ),
    Mutation(FIT, "resume=state is not None", "resume=True", FIT_TESTS),
    Mutation(MAKE, "prior=PRIORS[prior](latent)", 'prior=PRIORS["normal"](latent)', GIVEN),
    Mutation(
        MAKE,
        "n_dis, schedule, decay_steps, first\n",
        'n_dis, schedule, decay_steps, "generator"\n',
        GIVEN,
    ),
    Mutation(
        MAKE,
        "scale=1.0 if tuple(range) == (0, 1) else None",
        "scale=None",
        "tests/test_gans_make.py -k zero_to_one",
    ),
    Mutation(MAKE, 'if callable(learning_rate) and schedule != "none":', "if False:", WRONG),
    Mutation(OFFERED, "if logits.shape != (COUNT,):", "if False:", WRONG),
    Mutation(OFFERED, "hash(network)  # What", "id(network)  # What", WRONG),
    Mutation(CURVES, "on_bad_image=on_bad_image,", 'on_bad_image="stop",', CURVE_TESTS),
    Mutation(
        "gan_forensics/files/progress.py",
        "on = on and sys.stderr is not None and not",
        "on = on and not",
        "tests/test_files_progress.py",
    ),
    Mutation(
        "gan_forensics/forensics/estimator.py",
        "return names[rows[0]], names[rows[1]]",
        "return names[rows[1]], names[rows[0]]",
        "tests/test_forensics_estimator.py -k groups",
    ),
    Mutation(
        "gan_forensics/train/loop.py",
        '"next_batch": int(start.step) * per_step',
        '"next_batch": int(start.step)',
        f"{FIT_TESTS} -k going_on",
    ),
    Mutation(
        "gan_forensics/studies/overrides.py",
        "if hint is int and isinstance(value, Integral) and not isinstance(value, bool):",
        "if hint is int and isinstance(value, Integral):",
        "tests/test_studies_by_name.py -k settings",
    ),
    Mutation(
        "gan_forensics/train/cost.py",
        '"gradients": max(',
        '"gradients": sum(',
        "tests/test_train_cost.py",
    ),
]
