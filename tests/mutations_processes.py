"""Changes of what processes tell each other, and of who writes, that tests must notice."""

from tests.mutations import Mutation

DISTRIBUTED, BOARD, PRESENCE, MESH = (
    f"gan_forensics/runtime/{name}.py" for name in ("distributed", "board", "presence", "mesh")
)
LOOP, FOLDER = "gan_forensics/train/loop.py", "gan_forensics/train/run_folder.py"
TOLD = "tests/test_runtime_distributed.py"
NOT_FIRST = "tests/test_train_processes.py -k not_the_first"
TWO = "tests/test_train_processes.py -k two_processes_make"

MUTATIONS = [
    Mutation(DISTRIBUTED, 'value = answer["value"]', "value = None", TOLD),
    Mutation(FOLDER, "        _check_shared(run)\n", "", TOLD),
    Mutation(FOLDER, "if changes := differences(mine, theirs):", "if changes := []:", TOLD),
    Mutation(LOOP, "if run is not None and is_first():", "if run is not None:", NOT_FIRST),
    Mutation(
        DISTRIBUTED,
        "return reached_preemption_sync_point(step)",
        "return reached_preemption_sync_point(step) and False",
        TOLD,
    ),
    Mutation(
        MESH, "lambda array: array.addressable_data(0), state", "lambda array: array, state", TWO
    ),
    Mutation(DISTRIBUTED, '    gathered(0, "compiling", limit=COMPILED)\n', "", TOLD),
    Mutation(
        LOOP,
        'from_first(lambda made=measured: made, f"the evaluation of step {now}")',
        "measured",
        NOT_FIRST,
    ),
    Mutation(
        LOOP,
        "checkpoints.read(step, template)",
        "checkpoints.read(checkpoints.steps()[0], template)",
        NOT_FIRST,
    ),
    Mutation(
        LOOP,
        "        if is_first():\n            folder",
        "        if True:\n            folder",
        NOT_FIRST,
    ),
    Mutation(DISTRIBUTED, "if agreed and presence.left(limit=LIMIT):", "if agreed:", TOLD),
    Mutation(PRESENCE, "> MISSING and index", "> 1e9 and index", TOLD),
    Mutation(
        BOARD,
        "json.dumps(value))\n        except",
        "json.dumps(value), allow_overwrite=True)\n        except",
        TOLD,
    ),
]
