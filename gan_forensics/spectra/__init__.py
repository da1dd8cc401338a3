"""Fourier and DCT statistics of images, the responses of resamplers, and spectral losses.

Images are NHWC (or [b, h, w] where gray), floats in [-1, 1] or uint8 in [0, 255], or all else that
`gan_forensics.data.as_images` takes, such as a folder's path; logs are natural.
Functions with a `precision` argument compute in float32 in JAX or in float64 in NumPy, as asked;
the others say in their docstring where they run.
"""

from gan_forensics.spectra.autogan import autogan_spectrum
from gan_forensics.spectra.curve_sets import Curve, mean_curves
from gan_forensics.spectra.curves import log_spectrum_curve, unmasking_features
from gan_forensics.spectra.dct import (
    dct2,
    dct_features,
    dct_picture,
    log_dct,
    pixel_features,
    standardise,
)
from gan_forensics.spectra.dzanic import dzanic_features
from gan_forensics.spectra.gray import gray_levels, to_gray
from gan_forensics.spectra.losses import curve_cross_entropy, spectral_loss
from gan_forensics.spectra.power_law import PowerLaw, power_law_fit
from gan_forensics.spectra.radial import frequency_bins, radial_bins, radial_mean, ring_radii
from gan_forensics.spectra.resamplers import resampler_response
from gan_forensics.spectra.statistic import SpectrumStatistic, SpectrumSummary

__all__ = [
    "autogan_spectrum",
    "Curve",
    "curve_cross_entropy",
    "dct2",
    "dct_features",
    "dct_picture",
    "dzanic_features",
    "frequency_bins",
    "gray_levels",
    "log_dct",
    "log_spectrum_curve",
    "mean_curves",
    "pixel_features",
    "power_law_fit",
    "PowerLaw",
    "radial_bins",
    "radial_mean",
    "resampler_response",
    "ring_radii",
    "spectral_loss",
    "SpectrumStatistic",
    "SpectrumSummary",
    "standardise",
    "to_gray",
    "unmasking_features",
]
