"""Noise residuals of images, and the fingerprints that sources leave in them (PRNU).

Lukas, Fridrich and Goljan (IEEE TIFS 2006) took them from cameras; Marra et al., "Do GANs leave
artificial fingerprints?" (MIPR 2019), from generators; the details are those of the package that
Frank et al. (ICML 2020) use. The residual W of an image is what a denoiser takes away: of each
channel the details of some levels of the db4 wavelet, each shrunk by a Wiener filter of noise
deviation sigma. The fingerprint of a source is the maximum-likelihood estimate

    K = sum_i W_i I_i / 255 / (1 + sum_i (A(I_i) S(I_i))^2)

from its images I_i; A scales the intensity, S leaves saturated pixels out. Both are turned gray,
freed of means on each of the four parity lattices (what colour filters and block codecs leave) and
Wiener-filtered in the Fourier domain.

Images are uint8 [..., h, w, 3], maps [..., h, w] in gray levels; float64 on the host.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float, Float64, UInt8

from gan_forensics.spectra import wavelets

WINDOWS = (3, 5, 7, 9)
GRAY = (0.29893602, 0.58704307, 0.11402090)
# A residual below this, in gray levels, is what rounding left of an image of one colour.
NOTHING = 1e-9

Images = UInt8[np.ndarray, "*n h w c"]
Maps = Float64[np.ndarray, "*n h w"]
Channels = Float64[np.ndarray, "*n h w c"]
Setting = tuple[int, float]  # levels and sigma


def noise_extract(images: Images, levels: int, sigma: float) -> Float64[np.ndarray, "*n h w c"]:
    """What a wavelet denoiser takes away from every channel, in gray levels.

    Any number of levels is taken; those that only edges reach say little (`fit_prnu`).
    """
    ((_, noise),) = noise_under(images, [(levels, sigma)])
    return noise


def residual(images: Images, levels: int, sigma: float) -> Maps:
    """The residual of single images: gray, without lattice means, Wiener-filtered."""
    return finished(noise_extract(images, levels, sigma))


def fingerprint(
    images: UInt8[np.ndarray, "n h w 3"], levels: int, sigma: float
) -> Float64[np.ndarray, "h w"]:
    """The fingerprint of the source of some images."""
    noise = noise_extract(images, levels, sigma)
    return finished((noise * images / 255).sum(0) / (1 + estimate_weights(images)))


def inner_products(
    first: Float[np.ndarray, "m h w"], second: Float[np.ndarray, "n h w"]
) -> Float64[np.ndarray, "m n"]:
    """<K, W> of all pairs, as they lie: no shift, no means removed."""
    rows = (np.asarray(maps, np.float64).reshape(len(maps), -1) for maps in (first, second))
    return np.matmul(next(rows), next(rows).T)


def normalised_correlation(
    first: Float[np.ndarray, "m h w"], second: Float[np.ndarray, "n h w"]
) -> Float64[np.ndarray, "m n"]:
    """<K, W> / (|K| |W|) of all pairs, in [-1, 1]; 0 where one of them is nothing."""
    norms = [np.sqrt(np.square(maps, dtype=np.float64).sum((1, 2))) for maps in (first, second)]
    product = norms[0][:, None] * norms[1][None]
    least = NOTHING * np.sqrt(first[0].size)
    something = (norms[0] > least)[:, None] & (norms[1] > least)[None]
    return np.divide(
        inner_products(first, second), product, out=np.zeros_like(product), where=something
    )


def cross_correlation(
    first: Float[np.ndarray, "h w"], second: Float[np.ndarray, "h2 w2"]
) -> Float64[np.ndarray, "h3 w3"]:
    """Inner products of two maps, freed of their means, at every cyclic shift.

    The smaller sides are filled with zeros. Place (y, x) is that of the shift (y + 1, x + 1), so
    that maps which lie on each other peak in the last place.
    """
    shape = [max(sides) for sides in zip(first.shape, second.shape, strict=True)]
    spectra = (np.fft.fft2(maps - maps.mean(), shape) for maps in (first, second))
    at_shift = np.fft.ifft2(next(spectra) * next(spectra).conj()).real
    return np.roll(at_shift, (-1, -1), (0, 1))


def peak_to_correlation_energy(
    correlation: Float[np.ndarray, "h w"], radius: int = 2
) -> tuple[float, tuple[int, int]]:
    """PCE: the squared peak, with its sign, over the mean square of the rest, and the peak's place.

    It finds a fingerprint in a cropped or shifted image, where `normalised_correlation` does not.
    As in the published package, the rest are all places with zeros in those at distances from
    -radius to radius - 1 from the peak; nothing is zeroed if that would begin before the map does.
    """
    y, x = (int(i) for i in np.unravel_index(np.argmax(correlation), correlation.shape))
    peak = float(correlation[y, x])
    rest = np.array(correlation, np.float64)
    if min(y, x) >= radius:
        rest[y - radius : y + radius, x - radius : x + radius] = 0
    return float(np.sign(peak) * peak**2 / np.mean(rest**2)), (y, x)


def wiener_adaptive(maps: Maps, variance: float | Float64[np.ndarray, "*n 1 1"]) -> Maps:
    """u s2 / (v + s2) with v the least local variance beyond the noise's, over four windows.

    v = min over windows of max(0, mean of u^2 - s2), where zeros continue the map.
    """
    return maps * _gain(_local_energy(maps), variance)


def wiener_dft(maps: Maps) -> Maps:
    """Shrink the Fourier magnitudes by `wiener_adaptive`, and keep the phases.

    The noise's variance is that of the map (ddof 1). Peaks, which periodic artefacts make, go.
    """
    height, width = maps.shape[-2:]
    spectrum = np.fft.fft2(maps)
    energy = _local_energy(np.abs(spectrum) / np.sqrt(height * width))
    variance = maps.var((-2, -1), ddof=1, keepdims=True)
    return np.fft.ifft2(spectrum * _gain(energy, variance)).real


def zero_mean_total(maps: Maps) -> Maps:
    """Without means of rows and columns on each of the four lattices of equal parity."""
    maps = np.array(maps, np.float64)
    for place in ((slice(a, None, 2), slice(b, None, 2)) for a in (0, 1) for b in (0, 1)):
        part = maps[(..., *place)]
        part -= part.mean((-2, -1), keepdims=True)
        part -= part.mean(-1, keepdims=True) + part.mean(-2, keepdims=True)
    return maps


def inten_scale(images: Images) -> Float64[np.ndarray, "*n h w c"]:
    """A(I): I / 252 below 252, exp(-(I - 252)^2 / 6) from there on."""
    levels = np.asarray(images, np.float64)
    return np.where(levels < 252, levels / 252, np.exp(-((levels - 252) ** 2) / 6))


def saturation(images: Images) -> Float64[np.ndarray, "*n h w c"]:
    """S(I): 0 for pixels that are saturated, else 1, by the rule of the published package.

    1 everywhere if the image stays below 250. Else, with Q whether a pixel equals one of its four
    cyclic neighbours: in channels that reach beyond 250, not (I is the channel's maximum and Q);
    in others Q itself, which is a quirk.
    """
    equal = np.zeros(images.shape, bool)
    for axis in (-3, -2):
        same = images == np.roll(images, 1, axis)
        equal |= same | np.roll(same, -1, axis)
    highest = images.max((-3, -2), keepdims=True)
    kept = np.where(highest > 250, ~((images == highest) & equal), equal)
    return np.where(highest.max(-1, keepdims=True) < 250, True, kept).astype(np.float64)


def to_gray(channels: Float64[np.ndarray, "*n h w 3"]) -> Maps:
    """The weighted sum of three channels; not rounded."""
    return channels @ np.array(GRAY)


def noise_under(
    images: Images, settings: Iterable[Setting]
) -> Iterator[tuple[Setting, Float64[np.ndarray, "*n h w c"]]]:
    """`noise_extract` under many settings, with the energies of the coefficients found once."""
    settings = list(settings)
    pixels = np.moveaxis(np.asarray(images, np.float64), -1, -3)
    _, details = wavelets.decompose(pixels, max(levels for levels, _ in settings))
    energies = [_local_energy(level) for level in details]
    for levels, sigma in settings:
        pairs = list(zip(details, energies, strict=True))[:levels]
        filtered = [level * _gain(energy, sigma**2) for level, energy in pairs]
        noise = wavelets.reconstruct(None, filtered, images.shape[-3:-1])
        yield (levels, sigma), np.moveaxis(noise, -3, -1)


def _local_energy(maps: Maps) -> Maps:
    """The least mean square over the windows around each place, zeros beyond the edges."""
    from scipy.ndimage import uniform_filter

    squares, least = np.square(maps), np.inf
    for window in WINDOWS:
        mean = uniform_filter(squares, window, mode="constant", axes=(-2, -1))
        least = np.minimum(least, mean)
    return np.maximum(least, 0)  # Running sums may end a rounding error below.


def _gain(energy: Maps, variance) -> Maps:
    """s2 / (max(0, energy - s2) + s2), which is s2 / max(energy, s2); 0 without any noise."""
    largest = np.maximum(energy, variance)
    return np.divide(variance, largest, out=np.zeros_like(largest), where=largest > 0)


def estimate_weights(images: Images) -> Float64[np.ndarray, "h w c"]:
    """The sum of (A(I_i) S(I_i))^2 over images, in the denominator of the fingerprint."""
    return np.square(inten_scale(images) * saturation(images)).sum(0)


def finished(channels: Float64[np.ndarray, "*n h w 3"]) -> Maps:
    """The last three steps for residuals and fingerprints: gray, no lattice means, Wiener."""
    return wiener_dft(zero_mean_total(to_gray(channels)))
