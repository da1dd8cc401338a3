"""Generative adversarial networks in JAX: improve them, and tell what they made.

Where to begin:

    data.as_images("photos")                      images of any kind, as uint8 [n, h, w, c]
    report.spectra_figure({"photos": "photos"})   their mean radial spectra, drawn
    gans.build(gans.GanConfig("dcgan", size=32))  a GAN of a published method
    gans.fit(gan, images, steps=200)              trained, in memory or into a run folder
    gans.generate(gan, state, 16, seed=0)         what it makes
    quality.evaluate_images(real, fake, features) FID, KID, precision and recall of that
    forensics.fit_detector(real, fake, ...)       a detector of generated images, measured
    forensics.DetectorClassifier()                the same as an estimator of scikit-learn
    anomaly.Doping()                              new rows where a table has few
    studies.run("doping", "smoke")                a paper's experiment, its results as tables

The areas, each with a `help` of its own:

    data       sources of images, files in and out, minibatches
    nn         networks, in Flax
    train      one engine for every learner
    gans       losses, penalties and tasks; methods; training and sampling
    spectra    Fourier and DCT statistics, resamplers, spectral losses
    quality    how good generated images are
    forensics  detectors, attribution, robustness
    explain    relevance propagation, and what units respond to
    anomaly    anomalies in tables
    distill    label smoothing and knowledge distillation
    faces      faces in video
    report     figures and pages
    studies    what papers do with several areas; experiments
    inspector  the page and the reports of images: what they say, and what detectors say
    runtime    compiler, memory, devices
    files      files and names within limits

Areas load when they are first asked for: `import gan_forensics` alone loads neither JAX nor NumPy.
The command is `gan-forensics --help`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gan_forensics import anomaly as anomaly
    from gan_forensics import data as data
    from gan_forensics import distill as distill
    from gan_forensics import explain as explain
    from gan_forensics import faces as faces
    from gan_forensics import files as files
    from gan_forensics import forensics as forensics
    from gan_forensics import gans as gans
    from gan_forensics import inspector as inspector
    from gan_forensics import nn as nn
    from gan_forensics import quality as quality
    from gan_forensics import report as report
    from gan_forensics import runtime as runtime
    from gan_forensics import spectra as spectra
    from gan_forensics import studies as studies
    from gan_forensics import train as train

__version__ = "0.1.0"

_AREAS = (
    "anomaly data distill explain faces files forensics gans inspector nn quality report runtime "
    "spectra studies train"
).split()


def __getattr__(name: str) -> Any:
    """An area, when it is first asked for."""
    if name in _AREAS:
        return importlib.import_module(f"gan_forensics.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_AREAS})
