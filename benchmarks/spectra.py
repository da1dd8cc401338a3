"""Speed of the spectral features beside the transform they rest on and the loop they replace.

    python -m benchmarks.spectra

Prints, per image size, milliseconds per image and two ratios: throughput over the plain NumPy loop
over images and rings (more is better), and time over the transform alone (less is better). Every
row is the best of several runs, in one process, so that the ratios share one machine state.
"""

import os
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft

from gan_forensics.spectra import dzanic_features, log_spectrum_curve, unmasking_features

LOOP = "numpy loop over images and rings"


def naive_curves(gray: np.ndarray) -> np.ndarray:
    """Raw log-spectrum curves, the straightforward way: a mask and a mean per image and ring."""
    h, w = gray.shape[1:]
    y, x = np.mgrid[:h, :w]
    ring = np.floor(np.hypot(x - (w - 1) / 2, y - (h - 1) / 2))
    curves = []
    for image in gray:
        log = 20 * np.log(np.abs(np.fft.fftshift(np.fft.fft2(image)) + 1e-8))
        curves.append([log[ring == k].mean() for k in range(1, int(ring.max()))])
    return np.asarray(curves)


def best_milliseconds(runs: dict[str, Callable], repeats: int) -> dict[str, float]:
    """Best time of each call, taken in turns so that a disturbance does not hit one alone."""
    times = {name: [] for name in runs}
    for attempt in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            if attempt:  # The first one compiles and fills caches.
                times[name].append(time.perf_counter() - start)
    return {name: 1e3 * min(each) for name, each in times.items()}


def measure(side: int, batch: int, repeats: int) -> dict[str, float]:
    """Milliseconds per image of every contestant."""
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (batch, side, side), np.uint8)
    gray = (levels / 127.5 - 1).astype(np.float32)
    colour = np.repeat(gray[..., None], 3, axis=-1)
    gray_jax, colour_jax = jnp.asarray(gray), jnp.asarray(colour)
    fft2, rfft2 = jax.jit(jnp.fft.fft2), jax.jit(jnp.fft.rfft2)
    few = max(1, batch // 8)

    np.testing.assert_allclose(
        log_spectrum_curve(gray, normalise="none"), naive_curves(gray), rtol=1e-3, atol=1e-2
    )
    runs = {
        LOOP: lambda: naive_curves(gray[:few]),
        "jnp.fft.fft2": lambda: fft2(gray_jax),
        "jnp.fft.rfft2": lambda: rfft2(gray_jax),
        "scipy.fft.fft2, all cores": lambda: scipy.fft.fft2(gray, workers=-1),
        "scipy.fft.rfft2, all cores": lambda: scipy.fft.rfft2(gray, workers=-1),
        "log_spectrum_curve, gray": lambda: log_spectrum_curve(gray_jax),
        "log_spectrum_curve, colour": lambda: log_spectrum_curve(colour_jax),
        "unmasking_features, float64": lambda: unmasking_features(levels, side // 2),
        "dzanic_features, float64": lambda: dzanic_features(levels),
    }
    times = best_milliseconds(runs, repeats)
    return {name: ms / (few if name == LOOP else batch) for name, ms in times.items()}


def main(sides: tuple[int, ...] = (32, 64, 128, 256), pixels: int = 2**20) -> None:
    """Print the table for batches of about the given number of pixels."""
    print(f"jax {jax.__version__}, {jax.default_backend()}, {os.cpu_count()} cores, float32")
    for side in sides:
        times = measure(side, batch=max(8, pixels // side**2), repeats=9)
        naive = times[LOOP]
        full = min(ms for name, ms in times.items() if ".fft2" in name)
        half = min(ms for name, ms in times.items() if ".rfft2" in name)
        print(f"\n{side}x{side:<22} ms/image   x loop   / fft2   / rfft2")
        for name, ms in times.items():
            print(f"  {name:<33}{ms:9.4f}{naive / ms:9.1f}{ms / full:9.2f}{ms / half:9.2f}")


if __name__ == "__main__":
    main()
