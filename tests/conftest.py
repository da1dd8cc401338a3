"""Every test runs on eight simulated CPU devices, with rank promotion an error and no network."""

import os
import tempfile
from importlib.metadata import version

# Tests compile far more than they compute: without LLVM's optimisations they take a quarter less,
# and with the elder of the two code generators of JAX 0.10 a third less again. Newer versions of
# JAX, with which `make newest` runs, have the other one alone.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    + " --xla_cpu_use_fusion_emitters=false" * version("jaxlib").startswith("0.10.")
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TQDM_DISABLE", "1")  # How far a training is, no test asked for.

import jax
import numpy as np
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
# Networks are built and compiled over and over in tests: once is enough. Fresh for every session,
# and shared by its workers and the processes that tests start, which inherit the variable.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _compiled = tempfile.TemporaryDirectory(prefix="gan_forensics_compiled_")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _compiled.name
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


@pytest.fixture
def getkey():
    """A function that returns a fresh PRNG key at every call."""
    counter = iter(range(1_000_000))
    return lambda: jax.random.fold_in(jax.random.key(20211), next(counter))


@pytest.fixture
def rng():
    """A seeded numpy generator."""
    return np.random.default_rng(20211)
