"""The ground floor: compiling, memory, and the mesh of devices. Imports nothing of ours."""

from gan_forensics.runtime.compilation_cache import keep_compiled, say_what_compiles
from gan_forensics.runtime.compiler import jit
from gan_forensics.runtime.distributed import (
    OtherProcessError,
    from_first,
    gathered,
    is_first,
    join,
)
from gan_forensics.runtime.memory import keep_scratch_memory
from gan_forensics.runtime.mesh import (
    by_shares,
    data_mesh,
    jit_step,
    local_copy,
    on_all,
    replicated,
    split_over_data,
    to_mesh,
)
from gan_forensics.runtime.once import once_for_equal
from gan_forensics.runtime.precision import (
    Precision,
    check_precision,
    computation_dtype,
    products,
)
from gan_forensics.runtime.random_keys import random_key

__all__ = [
    "by_shares",
    "check_precision",
    "computation_dtype",
    "data_mesh",
    "from_first",
    "gathered",
    "is_first",
    "jit",
    "jit_step",
    "join",
    "keep_compiled",
    "keep_scratch_memory",
    "local_copy",
    "on_all",
    "once_for_equal",
    "OtherProcessError",
    "Precision",
    "products",
    "random_key",
    "replicated",
    "say_what_compiles",
    "split_over_data",
    "to_mesh",
]
