"""What networks and terms of a game must offer, asked by shapes alone: nothing is compiled."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_forensics.files import shown
from gan_forensics.gans.context import IN_TERM
from gan_forensics.gans.discriminator_output import named_outputs
from gan_forensics.gans.game import Game, init_network
from gan_forensics.gans.task import DISCRIMINATOR, GENERATOR
from gan_forensics.nn.calling import FLAGS, apply, flag_of
from gan_forensics.nn.initial import shapes_of
from gan_forensics.runtime import random_key

# Fields that Flax adds to those of a module.
FLAXS = ("parent", "name")
# Two images, since batch norm cannot train on one.
COUNT = 2
_INPUTS = {
    GENERATOR: "noise [b, latent]",
    DISCRIMINATOR: "images [b, size, size, channels]",
}


def checked_network(player: str, network: Any, *, labelled: bool) -> nn.Module:
    """A player's network, with tuples in the place of lists among its fields.

    Raises:
        ValueError: for what is no Linen module, or cannot be called with its inputs: with the
            signature, and what it should be.
    """
    if isinstance(network, type):
        raise ValueError(
            f"the {player} is the class {network.__name__}: give an instance of it, "
            f"{network.__name__}(...)"
        )
    if not isinstance(network, nn.Module):
        _refuse_kind(player, network)
    _check_signature(player, network, labelled=labelled)
    network = _without_lists(network)
    try:
        hash(network)  # What is compiled is found again by it.
    except TypeError:
        raise ValueError(
            f"{type(network).__name__} has a field that cannot be hashed: fields of networks are "
            "numbers, names, tuples, functions and modules; arrays are made in __call__"
        ) from None
    return network


def _without_lists(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_without_lists, value))
    if not isinstance(value, nn.Module):
        return value
    own = {f.name: getattr(value, f.name) for f in fields(value) if f.name not in FLAXS}
    mended = {name: _without_lists(field) for name, field in own.items()}
    changed = {name: field for name, field in mended.items() if field is not own[name]}
    return value.clone(**changed) if changed else value


def in_words(network: nn.Module) -> str:
    """A network as the call that made it, in one line."""
    own = {f.name: getattr(network, f.name) for f in fields(network) if f.name not in FLAXS}
    said = ", ".join(f"{name}={_value(value)}" for name, value in own.items())
    return f"{type(network).__name__}({said})"


def _value(value: Any) -> str:
    if isinstance(value, nn.Module):
        return in_words(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(_value, value))})"
    name = getattr(value, "__name__", None)
    return name if name and callable(value) else " ".join(repr(value).split())


def _refuse_kind(player: str, network: Any) -> None:
    name, kinds = type(network).__name__, type(network).__mro__
    if any(kind.__module__.startswith("flax.nnx") for kind in kinds):
        raise ValueError(
            f"the {player} {name} is a Flax NNX module, and Linen modules are needed: give "
            f"nnx.bridge.to_linen({name}, ...), the class and its arguments without rngs"
        )
    of = kinds[0].__module__.partition(".")[0]
    raise ValueError(f"the {player} is a {name} of {of}, and a Linen module (flax.linen) is needed")


def _check_signature(player: str, network: nn.Module, *, labelled: bool) -> None:
    """Whether `network(inputs)` or `network(inputs, labels)` can be called."""
    signature = inspect.signature(type(network).__call__)
    taken = list(signature.parameters.values())[1:]
    flag = flag_of(type(network))
    by_place = [p for p in taken if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    inputs = [_INPUTS[player], "labels [b]"][: 1 + labelled]
    first, rest = by_place[: len(inputs)], by_place[len(inputs) :]
    rest += [p for p in taken if p.kind == p.KEYWORD_ONLY]
    needed = [p.name for p in rest if p.default is p.empty and p.name != flag]
    enough = len(first) == len(inputs) or any(p.kind == p.VAR_POSITIONAL for p in taken)
    if enough and not needed and flag not in [p.name for p in first]:
        return
    kind = "conditional GAN" if labelled else "GAN without classes"
    how = "take them in this order"
    if needed and flag not in [p.name for p in first]:
        how = f"give {', '.join(needed)} a default"
    raise ValueError(
        f"{type(network).__name__}.__call__({', '.join(p.name for p in taken)}) is called with "
        f"{' and '.join(inputs)} in a {kind}, then by name with one of {', '.join(FLAGS)}, if it "
        f"has one: {how}"
    )


def check_game(game: Game, shape: tuple[int, ...]) -> None:
    """Refuse networks whose outputs do not fit the game, and terms that ask for what is not there.

    Args:
        game: of the networks and terms.
        shape: of one example, such as (size, size, channels).

    Raises:
        ValueError: in one line: what was returned or asked for, and what is needed.
    """
    batch = abstract_batch(game, shape, COUNT)
    inputs = {
        GENERATOR: jax.ShapeDtypeStruct((COUNT, game.prior.latent), jnp.float32),
        DISCRIMINATOR: batch[game.data],
    }
    labels = [batch["label"]] if game.classes else []
    params, stats = {}, {}
    for player, given in inputs.items():
        params[player], stats[player] = _tried(
            f"{type(game.networks[player]).__name__} cannot be applied to {_said(given)}",
            lambda *x, network=game.networks[player]: init_network(network, random_key(0), *x),
            *(given, *labels),
        )
    _check_generator(game, params, stats, (inputs[GENERATOR], *labels), shape)
    _check_discriminator(game, params, stats, (inputs[DISCRIMINATOR], *labels))
    if len(game.networks) > len(inputs):
        params, stats = _tried("a task", lambda: game.init(random_key(0), batch))
    for update in game.updates:
        if not game.terms[update.name]:
            raise ValueError(
                f"no task has a term for the {update.name}: add adversarial('hinge'), or a "
                f"Task({update.name}=(my_term,))"
            )
        _tried(
            f"the loss of the {update.name}",
            lambda *given, loss=update.loss: loss(*given, random_key(0), 0)[0],
            *(params, {}, stats, batch),
        )


def abstract_batch(game: Game, shape: tuple[int, ...], count: int) -> dict[str, Any]:
    """A minibatch of examples of a shape, with labels where the game has classes."""
    batch: dict[str, Any] = {game.data: jax.ShapeDtypeStruct((count, *shape), jnp.float32)}
    if game.classes:
        batch["label"] = jax.ShapeDtypeStruct((count,), jnp.int32)
    return batch


def _check_generator(game: Game, params, stats, inputs, shape: tuple[int, ...]) -> None:
    """Its images, as it makes them after training: from the noise (and labels) alone."""
    network = game.networks[GENERATOR]
    name, wanted = type(network).__name__, [COUNT, *shape]
    how = "" if flag_of(type(network)) else f", and takes none of {', '.join(FLAGS)} to tell it by"
    try:
        made = shapes_of(
            lambda params, stats, *x: apply(network, {"params": params, **stats}, *x, train=False),
            *(params[GENERATOR], stats[GENERATOR], *inputs),
        )
    except (flax.errors.ModifyScopeVariableError, flax.errors.InvalidRngError) as error:
        still = "changes its statistics"
        if isinstance(error, flax.errors.InvalidRngError):
            still = "draws random numbers"
        raise ValueError(
            f"{name} still {still} when it does not train{how}; images are to follow from the "
            f"noise alone: {_reason(error)}"
        ) from error
    if not isinstance(made, jax.ShapeDtypeStruct):
        raise ValueError(
            f"{name} returns a {type(made).__name__}: return the images {wanted} alone"
        )
    if list(made.shape) != wanted:
        channels_first = [COUNT, shape[-1], *shape[:-1]]
        is_first = list(made.shape) == channels_first and len(shape) == 3
        mend = "return x.transpose(0, 2, 3, 1)" if is_first else "check size and channels"
        layout = " (channels first, NCHW)" if is_first else ""
        raise ValueError(
            f"{name} makes {list(made.shape)}{layout} of {COUNT} noises, and {wanted} are needed: "
            f"{mend}"
        )
    if not jnp.issubdtype(made.dtype, jnp.floating):
        raise ValueError(f"{name} makes {made.dtype}: return floats in the range of the pixels")


def _check_discriminator(game: Game, params, stats, inputs) -> None:
    network = game.networks[DISCRIMINATOR]

    def outputs(params, stats, *inputs):
        variables = {"params": params, **stats}
        made = apply(network, variables, *inputs, train=True, mutable=True, rngs=random_key(0))[0]
        return named_outputs(made)["logits"]

    logits = _tried(
        type(network).__name__, outputs, params[DISCRIMINATOR], stats[DISCRIMINATOR], *inputs
    )
    if logits.shape != (COUNT,):
        raise ValueError(
            f"{type(network).__name__} returns {logits.shape[0]} logits for {COUNT} images: one "
            "for each"
        )


def _tried(what: str, function: Callable, *given: Any) -> Any:
    """The shapes of what a function returns; what it raises in one line, with what it was."""
    try:
        return shapes_of(function, *given)
    except Exception as error:  # Networks and terms are anyone's, and raise as much.
        raise ValueError(f"{what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """One line on an error: the first of its own, and the notes that were added."""
    lines = str(error).split(" (https:")[0].strip().splitlines() or [""]
    kind = "" if isinstance(error, ValueError | AttributeError) else f"{type(error).__name__}: "
    # JAX adds notes of its own.
    where = [f" ({note})" for note in getattr(error, "__notes__", ()) if note.startswith(IN_TERM)]
    return f"{kind}{shown(lines[0], most=400)}{shown(''.join(where), most=100)}"


def _said(given: Any) -> str:
    return f"{given.dtype}{list(given.shape)}"
