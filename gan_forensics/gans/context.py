"""What the terms of a GAN's loss are functions of: the context of one player's move.

A GAN loss is a sum of small terms, and each `Term` is a pure function of a `Context`. What it asks
for is made when first asked for, and shared by the terms that follow:

    context.real.logits                     the discriminator's output for the real images
    context.fake["rotation"]                any other of its outputs, by name; either way will do
    context.judged("fake", flipped)["..."]  its output for transformed images
    context.discriminate(images, labels)    one more pass of the discriminator
    context.together(copies)                many sets of images in one pass of it
    context.apply(name, *inputs)            one pass of any network of the game, in training mode
    context.once(name, make)                anything else that several terms look at
    context.weigh(weight)                   a number, a schedule at this step, or a traced one
    context.key("mix")                      a PRNG key for a term's own draws

Either player may look at real *and* at generated images. Where the game has an `augment`, what is
judged of them without a transform of a term's own is augmented; `context.images` never are. Every
pass moves the statistics of its network (batch norm averages, spectral norm vectors) before the
next one, whosever move it is; `context.stats` has them at the end. What players minimise for one
purpose is a `gan_forensics.gans.task.Task`.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from gan_forensics.gans.discriminator_output import DiscriminatorOutput, named_outputs
from gan_forensics.gans.task import (
    DISCRIMINATOR,
    GENERATOR,
    Augment,
    Images,
    Labels,
    Loss,
    Owner,
    Shown,
    Term,
    Transform,
    Weight,
    loss_of,
    term_name,
)
from gan_forensics.nn.calling import apply

WEIGHTS = "weights"
# How the note on an error begins that says which term raised it.
IN_TERM = "in the term "
Made = TypeVar("Made")
# What networks of Flax keep of a batch, which ties its images together.
_OF_BATCHES = "batch_stats"
_SOWN = "intermediates"


class Draws(NamedTuple):
    """The random numbers of a move.

    Attributes:
        z: noise of the generator.
        labels: classes of the generated images, in a conditional game.
        alpha: share of the *fake* image in the points of a gradient penalty, from 0 to 1; if it
            is None, drawn from `key`.
        key: PRNG key for whatever else a term draws.

    Example:
        >>> import numpy as np
        >>> draws = Draws(z=np.zeros((4, 128)))
        >>> draws.z.shape, draws.labels
        ((4, 128), None)
    """

    z: Float[Array, "b latent"]
    labels: Labels = None
    alpha: Float[Array, " b"] | None = None
    key: Array | None = None


class Context:
    """What lies before a player: batch, draws, step, and the networks to look with.

    It lives while one loss is computed; the loss stays a pure function of its arguments.

    Attributes:
        batch: the real examples; their labels in a conditional game are its "label".
        draws: the move's random numbers.
        step: how many steps are finished.
        stats: statistics of the networks that made a pass, as the last one left them.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.gans import Context, Draws
        >>> def darkness(context):  # a term: for Task(generator=(darkness,))
        ...     return context.weigh(lambda step: step / 100) * (1 - context.images("real").mean())
        >>> batch = {"image": np.full((2, 4, 4, 3), -1.0)}
        >>> context = Context({}, {}, {}, batch=batch, draws=Draws(np.zeros((2, 8))), step=50)
        >>> float(darkness(context))
        1.0
    """

    def __init__(
        self,
        networks: Mapping[str, Any],
        params: Mapping[str, PyTree],
        stats: Mapping[str, PyTree],
        *,
        batch: Mapping[str, Array],
        draws: Draws,
        step: Int[Array, ""] | int,
        data: str = "image",
        augment: Augment | None = None,
    ):
        self._networks, self._params, self._before = networks, params, stats
        self._augment = augment
        self.batch, self.draws, self.step = batch, draws, jnp.asarray(step)
        self.stats: dict[str, PyTree] = {}
        self._images: dict[Owner, Images] = {"real": batch[data]}
        self._judged: dict[tuple[Owner, Transform | None], DiscriminatorOutput] = {}
        self._made: dict[str, Any] = {}
        self._passes = 0

    def images(self, owner: Owner) -> Images:
        """The real images, or the generated ones of the move's noise.

        Raises:
            ValueError: for another owner.
        """
        if owner not in ("real", "fake"):
            raise ValueError(f"unknown owner {owner!r}: images are real or fake")
        if owner not in self._images:
            labels = () if self.draws.labels is None else (self.draws.labels,)
            self._images[owner] = self.apply(GENERATOR, self.draws.z, *labels)
        return self._images[owner]

    def labels(self, owner: Owner) -> Labels:
        """Their classes; None in a game without.

        Raises:
            ValueError: when the batch lacks labels that the game needs.
        """
        if owner == "fake" or self.draws.labels is None:
            return self.draws.labels
        if "label" not in self.batch:
            raise ValueError(
                "a conditional game needs the classes of real images: give a source with labels "
                "(a folder with a subfolder per class, a list of path,label), or an unconditional "
                "method"
            )
        return self.batch["label"]

    @property
    def real(self) -> DiscriminatorOutput:
        """What the discriminator says of the real images."""
        return self.judged("real")

    @property
    def fake(self) -> DiscriminatorOutput:
        """What the discriminator says of the generated images."""
        return self.judged("fake")

    def judged(self, owner: Owner, transform: Transform | None = None) -> DiscriminatorOutput:
        """What the discriminator says of images, or of transformed copies; one pass for each."""
        if (owner, transform) not in self._judged:
            images = self.images(owner)
            images = transform(images) if transform else self.augmented(owner, images)
            self._judged[owner, transform] = self.discriminate(images, self.labels(owner))
        return self._judged[owner, transform]

    def augmented(self, owner: Shown, images: Images) -> Images:
        """What the discriminator is shown of images, by the game's `augment`."""
        return images if self._augment is None else self._augment(self, owner, images)

    @property
    def augments(self) -> bool:
        """Whether the discriminator is shown something else than the images."""
        return self._augment is not None

    def discriminate(self, images: Images, labels: Labels) -> DiscriminatorOutput:
        """One pass of the discriminator; its statistics move."""
        inputs = (images,) if labels is None else (images, labels)
        return DiscriminatorOutput(images, labels, self._outputs(inputs))

    def together(self, copies: Sequence[tuple[Images, Labels]]) -> list[DiscriminatorOutput]:
        """Sets of images of one shape, with their labels, judged in one pass.

        Spectral norm takes one step for all. Batch norm takes the statistics of each set, as one
        pass for each would, and its averages move once, by the mean over the sets.
        """
        if len(copies) == 1:
            return [self.discriminate(*copies[0])]
        inputs = [part for part in zip(*copies, strict=True) if part[0] is not None]
        many = len(copies)
        if _OF_BATCHES in self.stats.get(DISCRIMINATOR, self._before[DISCRIMINATOR]):
            outputs = self._outputs([jnp.stack(part) for part in inputs], sets=True)
            parts = [jax.tree.map(lambda x, k=k: x[k], outputs) for k in range(many)]
        else:
            # Interleaved, so that a batch that is split over devices stays where it is.
            folded = [jnp.stack(part, 1) for part in inputs]
            outputs = self._outputs([x.reshape(-1, *x.shape[2:]) for x in folded])
            parts = [jax.tree.map(lambda x, k=k: x[k::many], outputs) for k in range(many)]
        return [
            DiscriminatorOutput(images, labels, part)
            for (images, labels), part in zip(copies, parts, strict=True)
        ]

    def with_slopes(self, images: Images, labels: Labels) -> tuple[Array, Images]:
        """The discriminator's logits [b], and the gradient of their sum by the images; one pass."""
        before = dict(self.stats)

        def judged(images):
            logits = self.discriminate(images, labels)["logits"]
            moved, self.stats = self.stats, before
            return logits.sum(), (logits, moved)

        (_, (logits, self.stats)), slopes = jax.value_and_grad(judged, has_aux=True)(images)
        return logits, slopes

    def by_pieces(self, images: Images) -> tuple[Array, Callable[[Array], tuple[Images, Array]]]:
        """Logits of a piecewise linear discriminator, and what pulls a cotangent back from them.

        Around an image x such a network is the affine map D(u) = <g, u> + beta. The function takes
        c [b] and returns (c g [b, ...], sum c beta), differentiable by the parameters.

        Raises:
            ValueError: for a discriminator that does not call itself `piecewise_linear`.
        """
        network, params = self._networks[DISCRIMINATOR], self._params[DISCRIMINATOR]
        if not self.piecewise_linear:
            raise ValueError(f"{type(network).__name__} is not known to be piecewise linear")
        leaves, structure = jax.tree_util.tree_flatten_with_path(params)
        # beta is linear in what is added in a layer.
        added = [path[-1].key == "bias" for path, _ in leaves]

        def judge(images, biases):
            own = iter(biases)
            parts = [
                next(own) if is_bias else leaf
                for (_, leaf), is_bias in zip(leaves, added, strict=True)
            ]
            variables = {"params": jax.tree.unflatten(structure, parts)}
            return named_outputs(apply(network, variables, images, train=True))["logits"]

        biases = [leaf for (_, leaf), is_bias in zip(leaves, added, strict=True) if is_bias]
        logits, back = jax.vjp(judge, images, biases)

        def pull(cotangent: Array) -> tuple[Images, Array]:
            slopes, by_bias = back(cotangent)
            products = [jnp.vdot(b, s) for b, s in zip(biases, by_bias, strict=True)]
            return slopes, sum(products, jnp.zeros((), jnp.float32))

        return logits, pull

    @property
    def piecewise_linear(self) -> bool:
        """Whether the discriminator says so of itself, and keeps no statistics."""
        known = getattr(self._networks[DISCRIMINATOR], "piecewise_linear", False)
        return known and not jax.tree.leaves(self._before[DISCRIMINATOR])

    def _outputs(self, inputs: Sequence[Array], *, sets: bool = False) -> dict[str, Array]:
        """What the discriminator returns, and what it sows of its trunk, by name."""
        stats = self.stats.get(DISCRIMINATOR, self._before[DISCRIMINATOR])
        variables = {"params": self._params[DISCRIMINATOR], **stats}
        network, rngs = self._networks[DISCRIMINATOR], self._rngs(DISCRIMINATOR)
        mutable = [*stats, _SOWN]

        def judge(*inputs):
            outputs, changed = apply(
                network, variables, *inputs, train=True, mutable=mutable, rngs=rngs
            )
            # Its own; what a network within it leaves stands under that one's name.
            own = changed.pop(_SOWN, {}).items()
            sown = {name: made[0] for name, made in own if isinstance(made, tuple)}
            named = named_outputs(outputs)
            return {**named, **{n: x for n, x in sown.items() if n not in named}}, changed

        if sets:
            # In turn: sets beside each other make grouped convolutions, whose batch is not split.
            outputs, moved = jax.lax.map(lambda one: judge(*one), tuple(inputs))
            # Every set moved the averages from where they were; all else moved alike.
            moved = {
                collection: jax.tree.map(
                    lambda x: x.mean(0) if collection == _OF_BATCHES else x[0],  # noqa: B023
                    values,
                )
                for collection, values in moved.items()
            }
        else:
            outputs, moved = judge(*inputs)
        self.stats[DISCRIMINATOR] = moved
        return outputs

    def logits_at(self, images: Images, labels: Labels) -> Float[Array, " b"]:
        """The discriminator's logits, in training mode, leaving its statistics where they are."""
        moved = dict(self.stats)
        logits = self.discriminate(images, labels)["logits"]
        self.stats = moved
        return logits

    def apply(self, name: str, *inputs: Array) -> Any:
        """One pass of a network in training mode; its statistics move.

        Raises:
            ValueError: for a network that is not in the game.
        """
        if name not in self._networks:
            raise ValueError(
                f"no network {name!r} in this game, only {', '.join(self._networks)}: a task "
                "brings what it needs in `networks`"
            )
        stats = self.stats.get(name, self._before[name])
        variables, options = {"params": self._params[name], **stats}, {"mutable": list(stats)}
        outputs, self.stats[name] = apply(
            self._networks[name], variables, *inputs, train=True, rngs=self._rngs(name), **options
        )
        return outputs

    def _rngs(self, name: str) -> Array | None:
        """The key of what a network draws in a pass (dropout, noise): another in every pass."""
        if self.draws.key is None:
            return None
        self._passes += 1
        return self.key(f"pass {self._passes} of the networks, {name}")

    def statistics(self, name: str) -> PyTree:
        """The statistics of a network as its last pass left them; empty while it is initialised."""
        return self.stats.get(name, self._before[name])

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """What `make` returns, made by the first term that asks for the name."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def weigh(self, weight: Weight) -> Float[Array, ""] | float:
        """A weight at this step.

        Raises:
            ValueError: for the name of a weight that the game lacks.
        """
        if isinstance(weight, str):
            known = self._params.get(WEIGHTS, {})
            if weight not in known:
                raise ValueError(
                    f"no weight {weight!r} in this game, only {', '.join(known) or 'none'}: name "
                    "it in weights="
                )
            return known[weight]
        return weight(self.step) if callable(weight) else weight

    def key(self, purpose: str) -> Array:
        """A PRNG key of this move for a purpose; split what is drawn with `split_over_data`."""
        assert self.draws.key is not None
        return jax.random.fold_in(self.draws.key, zlib.crc32(purpose.encode()))

    def total(self, terms: tuple[Term, ...]) -> Loss:
        """The sum of the terms, in their order.

        Raises:
            ValueError: when two terms report a metric of one name, or one returns no number.
        """
        value, metrics = 0.0, {}
        for term in terms:
            try:
                loss = loss_of(term, term(self))
            except Exception as error:
                error.add_note(f"{IN_TERM}{term_name(term)}")
                raise
            if twice := sorted(metrics.keys() & loss.metrics.keys()):
                raise ValueError(
                    f"two tasks report the metric {twice[0]!r}: leave one out, or give it another "
                    "name (penalised has name=)"
                )
            value, metrics = value + loss.value, {**metrics, **loss.metrics}
        return Loss(jnp.asarray(value), metrics)
