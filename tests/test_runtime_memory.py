import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from gan_forensics.runtime import keep_scratch_memory

if not keep_scratch_memory():
    raise SystemExit("no glibc")
faults = [resource.getrusage(resource.RUSAGE_SELF).ru_minflt]
for _ in range(3):
    scratch = np.ones(2**26, np.float32)
    del scratch
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(*faults)
"""


def test_memory_that_was_freed_is_not_fetched_from_the_kernel_again():
    # 256 MB, which glibc by itself would give back: 65,536 small pages each time.
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    if "no glibc" in result.stderr:
        pytest.skip("keep_scratch_memory works on glibc only")
    start, first, second, third = map(int, result.stdout.split())
    assert first - start > 100  # the first time it has to come from somewhere
    assert third - first < 100
