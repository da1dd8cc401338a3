"""Run every benchmark, one after the other."""

import runpy
import sys

NAMES = (
    "dcgan_step",
    "sngan_step",
    "dist_gan_step",
    "detector_step",
    "transformer_step",
    "autoencoder_step",
    "infonce_memory",
    "neighbours",
    "toy_gans",
    "augmentation",
    "corruptions",
    "attribution",
    "spectra",
    "quality",
    "precision_recall",
    "scoring",
    "detector",
    "relevance",
    "doping",
    "distillation",
    "faces",
    "fit_overhead",
    "start_up",
    "imports",
    "paper_presets",
)


def main() -> None:
    """Run them with their default settings."""
    for name in NAMES:
        print(f"\n== {name}", flush=True)
        sys.argv = [name]
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
