# ruff: noqa: E501  # texts as they stand in the files
"""Mutations of fingerprints, the attributors made of them, and the metrics of many classes."""

from tests.mutations import Mutation

MUTATIONS = [
    Mutation(
        "gan_forensics/spectra/wavelets.py",
        "WAVELET = SCALING[::-1] * np.tile([1, -1], TAPS // 2)",
        "WAVELET = SCALING[::-1] * np.tile([-1, 1], TAPS // 2)",
        "tests/test_spectra_wavelets.py",
    ),
    Mutation(
        "gan_forensics/spectra/wavelets.py",
        'mode="symmetric"',
        'mode="reflect"',
        "tests/test_spectra_wavelets.py",
    ),
    Mutation(
        "gan_forensics/forensics/noise_residuals.py",
        "variance = maps.var((-2, -1), ddof=1, keepdims=True)",
        "variance = maps.var((-2, -1), ddof=1, keepdims=True) ** 0.5",
        "tests/test_forensics_prnu.py",
    ),
    Mutation(
        "gan_forensics/forensics/noise_residuals.py",
        "same | np.roll(same, -1, axis)",
        "same",
        "tests/test_forensics_prnu.py",
    ),
    Mutation(
        "gan_forensics/forensics/noise_residuals.py",
        "(-1, -1), (0, 1))",
        "(1, 1), (0, 1))",
        "tests/test_forensics_prnu.py",
    ),
    Mutation(
        "gan_forensics/forensics/prnu.py",
        "scores.argmax(1) == of",
        "scores.argmin(1) == of",
        "tests/test_forensics_prnu.py",
    ),
    Mutation(
        "gan_forensics/forensics/prnu.py",
        "            noise *= images / 255\n",
        "",
        "tests/test_forensics_prnu.py",
    ),
    Mutation(
        "gan_forensics/forensics/eigenspace.py",
        "kept = kept @ centred / np.sqrt(powers[:count, None])",
        "kept = kept @ centred",
        "tests/test_forensics_eigenface.py",
    ),
    Mutation(
        "gan_forensics/forensics/eigenspace.py",
        "rng.permutation(each)[:quota]",
        "rng.permutation(each)",
        "tests/test_forensics_eigenface.py",
    ),
    Mutation(
        "gan_forensics/forensics/eigenface.py",
        "np.concatenate([-part, part])",
        "np.concatenate([part, -part])",
        "tests/test_forensics_eigenface.py",
    ),
    Mutation(
        "gan_forensics/forensics/class_metrics.py",
        "[:, int(others) :]",
        "",
        "tests/test_forensics_class_metrics.py",
    ),
    Mutation(
        "gan_forensics/forensics/class_metrics.py",
        "inter.sum() / (2 * len(pairs))",
        "inter.mean()",
        "tests/test_forensics_class_metrics.py",
    ),
    Mutation(
        "gan_forensics/forensics/class_metrics.py",
        "2 * shared / sum(entropies)",
        "shared / max(entropies)",
        "tests/test_forensics_class_metrics.py",
    ),
    Mutation(
        "gan_forensics/forensics/class_evaluation.py",
        "names.index(real)",
        "0",
        "tests/test_forensics_class_metrics.py",
    ),
    Mutation(
        "gan_forensics/nn/fingerprint_networks.py",
        'mode="reflect"',
        'mode="edge"',
        "tests/test_nn_fingerprint_networks.py",
    ),
    Mutation(
        "gan_forensics/nn/fingerprint_networks.py",
        "self.width * 2**i // 2**k",
        "self.width * 2**i // 2 ** (k - 1)",
        "tests/test_nn_fingerprint_networks.py",
    ),
    Mutation(
        "gan_forensics/forensics/reverse_engineering.py",
        "magnitude.at[:, low, low].set(0)",
        "magnitude",
        "tests/test_nn_fingerprint_networks.py",
    ),
    Mutation(
        "gan_forensics/forensics/fingerprints.py",
        'statistic = statistic.update(log_dct(batch["image"]))',
        'statistic = SpectrumStatistic.zero(shape).update(log_dct(batch["image"]))',
        "tests/test_forensics_fingerprints.py",
    ),
]
