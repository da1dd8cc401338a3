"""Many processes, one program: joining, what all agree on, and leaving.

Every process runs the same program. What only one may do, process 0 does, and the others are told
what came of it (`from_first`); what may differ between them is compared (`gathered`). All that goes
over the board of JAX's coordinator and not over the devices: every wait has a limit there and names
whom it waited for. In a program of one process every function is what it says, at once.
"""

import contextlib
import itertools
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import jax

from gan_forensics.files import listed, shown
from gan_forensics.files.terminal import hush
from gan_forensics.runtime.board import Board
from gan_forensics.runtime.presence import LIMIT, START, Presence, end_now

Value = TypeVar("Value")

# Seconds till all processes of a job must have compiled.
COMPILED = 3600.0

_presence: Presence | None = None
_turns = itertools.count()


class OtherProcessError(RuntimeError):
    """Another process of the job failed, or did not come."""


def join(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> None:
    """Make this process one of a job; call it before the first computation.

    Processes but the first print nothing but errors from now on. `SIGTERM` and `SIGINT` end the
    whole job, at once before the first step.

    Args:
        coordinator: HOST:PORT of process 0, which listens there. What is not given is taken from
            the cluster, where JAX knows it: TPU pods, SLURM, Open MPI, Kubernetes.
        processes: how many there are.
        process: the number of this one, from 0.

    Raises:
        ValueError: for what cannot be, and where no cluster is known.
        OtherProcessError: when not all come in time.

    Example:
        >>> from gan_forensics.runtime import join
        >>> join("10.0.0.1:4321", processes=2, process=0)  # doctest: +SKIP
    """
    global _presence
    _check(coordinator, processes, process)
    _presence = presence = Presence()
    who = "this process" if process is None else f"process {process}"
    whom = "the others" if processes is None else f"all {processes}"
    presence.at(f"{who} waits for {whom} at {coordinator or 'the coordinator of the cluster'}")
    # Till the first step is begun there is nothing to save, see `before_first_step`.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator, processes, process, initialization_timeout=round(2 * START)
        )
    except ValueError as error:
        given = {"--coordinator HOST:PORT": coordinator, "--processes": processes}
        given["--process"] = process
        lacking = [name for name, value in given.items() if value is None]
        raise ValueError(
            f"no cluster that JAX knows tells who the processes are: give {listed(lacking)} "
            f"({shown(error)})"
        ) from error
    except RuntimeError as error:
        if "before any JAX calls" in str(error):
            raise ValueError("join the other processes before the first computation") from error
        raise OtherProcessError(f"the others cannot be joined: {_first_line(error)}") from error
    presence.at("starting")
    _answer(presence)
    if not is_first():
        hush()


def _answer(presence: Presence) -> None:
    """Give a presence the board of the coordinator, who answers."""
    from jax._src.distributed import global_state

    presence.board = Board(_client(), jax.process_index(), jax.process_count())
    presence.speak_when_aborted(global_state.coordinator_address)


def _check(coordinator: str | None, processes: int | None, process: int | None) -> None:
    if coordinator is not None and not coordinator.rpartition(":")[2].isdecimal():
        raise ValueError(f"coordinator is HOST:PORT of process 0, got {shown(coordinator)}")
    if processes is not None and processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    if process is not None and not 0 <= process < (processes or process + 1):
        raise ValueError(
            f"process is the number of this one, 0 to {(processes or 1) - 1}, got {process}"
        )
    if coordinator is not None and process == 0:
        _check_port(coordinator)


def _check_port(coordinator: str) -> None:
    """Refuse a port that is taken (ValueError), at which JAX may end the process without a word."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    port = int(coordinator.rpartition(":")[2])
    try:
        socket.create_server(("", port), family=family, dualstack_ipv6=both).close()
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"process 0 cannot listen at {shown(coordinator)} ({shown(error)}): give the address "
            "of its host with a port that is free"
        ) from error


def _client() -> Any:
    """JAX's line to the coordinator, None in a program of one process: nothing public has it."""
    from jax._src.distributed import global_state

    return global_state.client


def _joined() -> Presence | None:
    """The presence of this process in its job, begun where the program itself called JAX."""
    global _presence
    if _presence is None and _client() is not None and jax.process_count() > 1:
        _presence = Presence()
        _presence.stepping = True  # JAX's own service has the signals.
        _answer(_presence)
    return _presence


def is_first() -> bool:
    """Whether this is process 0, which alone writes and prints.

    Example:
        >>> from gan_forensics.runtime import is_first
        >>> is_first()  # in a program of one process
        True
    """
    return _client() is None or jax.process_index() == 0


def from_first(make: Callable[[], Value], what: str) -> Value:
    """What `make` returns in process 0, in all processes, which call this in the same order.

    Args:
        make: called in process 0 alone; returns JSON-able values.
        what: it does, for messages.

    Raises:
        OtherProcessError: in the others, when it raised in process 0, or takes too long there.

    Example:
        >>> from gan_forensics.runtime import from_first
        >>> from_first(lambda: 3, "counting")
        3
    """
    presence = _joined()
    if presence is None:
        return make()
    board, note = presence.board, f"first/{next(_turns)}"
    assert board
    before = presence.at(what)
    if board.index == 0:
        try:
            value = make()
        except Exception as error:
            board.put(note, {"error": str(error) or type(error).__name__})
            raise
        board.put(note, {"value": value})
    else:
        answer = _awaited(presence, note, 0, what, LIMIT)
        if "error" in answer:
            raise OtherProcessError(f"process 0: {answer['error']}")
        value = answer["value"]
    presence.at(before)
    return value


def gathered(value: Value, what: str, *, limit: float = LIMIT) -> list[Value]:
    """The values of all processes, in their order; each calls this in the same order.

    Args:
        value: JSON-able.
        what: it is for, for messages.
        limit: seconds to wait for one of them.

    Raises:
        OtherProcessError: when one does not come in time, naming it.

    Example:
        >>> from gan_forensics.runtime import gathered
        >>> gathered(3, "counting")
        [3]
    """
    presence = _joined()
    if presence is None:
        return [value]
    board, note = presence.board, f"all/{next(_turns)}"
    assert board
    before = presence.at(what)
    board.put(f"{note}/{board.index}", value)
    values = [_awaited(presence, f"{note}/{i}", i, what, limit) for i in range(board.count)]
    presence.at(before)
    return values


def _awaited(presence: Presence, note: str, index: int, what: str, limit: float) -> Any:
    assert presence.board
    try:
        return presence.board.get(note, limit)
    except TimeoutError:
        raise OtherProcessError(
            f"{what}: {presence.describe(index)} did not come within {limit:.0f} s"
        ) from None


def before_first_step() -> None:
    """Meet the others when all have compiled, before their devices talk for the first time.

    From here on `SIGTERM` is a notice to JAX's preemption service: see `asked_to_stop`.
    """
    presence = _joined()
    if presence is None or presence.stepping:
        return
    gathered(0, "compiling", limit=COMPILED)
    from jax._src.distributed import global_state

    jax.config.update("jax_enable_preemption_service", True)
    global_state.initialize_preemption_sync_manager()
    gathered(0, "the first step")
    presence.stepping = True


def at_step(step: int) -> None:
    """Say that this process is at a step, which waits for all others."""
    if _presence:
        _presence.at_step(step)


def asked_to_stop(step: int) -> bool:
    """Whether all processes stop after this step, since one of them was asked to by `SIGTERM`.

    Every process asks after every step; all are answered alike.
    """
    if _joined() is None:
        return False
    from jax.experimental.multihost_utils import reached_preemption_sync_point

    return reached_preemption_sync_point(step)


def forward_interrupt() -> None:
    """Make an interrupt of this process a `SIGTERM`, which all processes hear of."""
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def losing_none() -> Iterator[None]:
    """Name the process that is gone where the devices' talk breaks off.

    Raises:
        OtherProcessError: in the place of JAX's own error, when a process gives no sign of life.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        presence = _presence
        if presence is None:
            raise
        gone = [presence.describe(index) for index in presence.silent(3.0)]
        if not gone:
            raise
        raise OtherProcessError(
            f"lost {' and '.join(gone)} ({_first_line(error)}). Start the whole job again to go on "
            "from the newest checkpoint"
        ) from error


def leave(code: int, why: str = "", *, agreed: bool) -> None:
    """End this process's part in the job; the program ends with this code.

    Args:
        code: the exit code.
        why: what failed, told to the others.
        agreed: whether all leave with it: they did what they were to do, or stopped together.
            Otherwise the process ends here.
    """
    global _presence
    presence, _presence = _presence, None
    if presence is None or presence.board is None:
        if presence is not None:
            end_now(code)
        return
    with contextlib.suppress(jax.errors.JaxRuntimeError):
        if agreed and presence.left(limit=LIMIT):
            jax.distributed.shutdown()
            return
        if not agreed:
            presence.word(code, why)
            presence.seen_off()
    end_now(code)


def _first_line(error: BaseException) -> str:
    return shown((str(error).strip().splitlines() or [type(error).__name__])[0])
