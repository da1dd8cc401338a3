import numpy as np
import pytest

from gan_forensics.spectra.wavelets import (
    SCALING,
    WAVELET,
    decompose,
    most_levels,
    reconstruct,
)


def test_the_filter_is_daubechies_with_four_vanishing_moments():
    for shift in range(0, 8, 2):
        expected = [1 - bool(shift), 0, 1 - bool(shift)]
        pairs = ((SCALING, SCALING), (SCALING, WAVELET), (WAVELET, WAVELET))
        products = [first[shift:] @ second[: 8 - shift] for first, second in pairs]
        np.testing.assert_allclose(products, expected, atol=1e-11)
    # Derivatives grow with the moment, and with them what 16 digits leave.
    moments = [WAVELET @ np.arange(8.0) ** power for power in range(5)]
    np.testing.assert_allclose(moments[:4], 0, atol=1e-8)
    assert abs(moments[4]) > 1
    assert SCALING.sum() == pytest.approx(2**0.5, abs=1e-12)
    assert abs(SCALING[0]) > abs(SCALING[-1])  # minimum phase, not its mirror image
    assert WAVELET[0] == SCALING[-1] and WAVELET[1] == -SCALING[-2]


def slow_level(signal, filter_):
    """a[i] = sum_k f[k] x[2 i + k - 6], with x(-1) = x(0), x(-2) = x(1), ..."""
    n = len(signal)
    period = [*signal, *signal[::-1]]
    count = (n + 7) // 2
    return [
        sum(filter_[k] * period[(2 * i + k - 6) % (2 * n)] for k in range(8)) for i in range(count)
    ]


@pytest.mark.parametrize("n", [3, 8, 21])
def test_a_level_is_its_sum_on_the_reflected_signal(rng, n):
    signal = rng.normal(size=n)
    maps = np.broadcast_to(signal, (1, 14, n))
    smooth, (details,) = decompose(maps, 1)
    # Columns are constant: their smooth half is sqrt(2) and their rough half nothing.
    np.testing.assert_allclose(
        smooth[0], np.sqrt(2) * np.tile(slow_level(signal, SCALING), (10, 1)), atol=1e-11
    )
    np.testing.assert_allclose(
        details[0, 0], np.sqrt(2) * np.tile(slow_level(signal, WAVELET), (10, 1)), atol=1e-11
    )
    np.testing.assert_allclose(details[1:], 0, atol=1e-10)


@pytest.mark.parametrize(("shape", "levels"), [((32, 32), 2), ((17, 30), 3), ((5, 6), 1)])
def test_reconstruction_undoes_decomposition_at_any_size(rng, shape, levels):
    maps = rng.normal(size=(2, 3, *shape))
    smooth, details = decompose(maps, levels)
    assert len(details) == levels and details[0].shape[:3] == (3, 2, 3)
    np.testing.assert_allclose(reconstruct(smooth, details, shape), maps, atol=1e-10)
    low = reconstruct(smooth, [np.zeros_like(each) for each in details], shape)
    np.testing.assert_allclose(low + reconstruct(None, details, shape), maps, atol=1e-10)


def test_levels_by_side():
    assert [most_levels(side) for side in (7, 13, 14, 28, 56, 111, 112, 128, 224)] == [
        *(0, 0, 1, 2, 3, 3, 4, 4, 5)
    ]
