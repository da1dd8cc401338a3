"""An attribution benchmark from run folders of GANs and sources of real images.

Real images are those that trained none of the GANs: the split that runs hold out, where these say
that they trained on the same source, and in any case no image that is equal, pixel by pixel, to one
that trained. Noise of a run is drawn from a seed of its own, and each split has rows of its own.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data import Rgb, Source, account, chunks, open_source, take
from gan_forensics.data.attributed import LISTS
from gan_forensics.data.benchmark import Group, check_alike, write_benchmark
from gan_forensics.files import listed, shown
from gan_forensics.gans import Gan, about_average, generate, load_gan, with_average
from gan_forensics.report.provenance import provenance
from gan_forensics.train import TrainState

REAL = "real"
# Of a source of more, only the name is compared with what trained.
_MOST_COMPARED = 200_000


class Run(NamedTuple):
    """A run folder and the place of its images in the benchmark."""

    source: str
    semantic: str
    instance: str
    folder: Path

    @property
    def name(self) -> str:
        """As it is written: SOURCE/SEMANTIC/INSTANCE."""
        return f"{self.source}/{self.semantic}/{self.instance}"


class _Loaded(NamedTuple):
    gan: Gan
    state: TrainState


def build_benchmark(
    folder: Path,
    runs: Sequence[str],
    real: Mapping[str, str],
    *,
    unseen: Sequence[str] = (),
    new_seeds: Sequence[str] = (),
    counts: Mapping[str, int],
    seed: int = 0,
    follow_links: bool = False,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[Sequence[Group]], Any] = iter,
) -> Mapping[str, Any]:
    """Draw and write a benchmark.

    Args:
        folder: for it.
        runs: of GANs, each SOURCE/SEMANTIC/INSTANCE=FOLDER, or FOLDER alone: then the source is the
            run's method (and tail), the instance its seed, and the semantic that one of `real`
            whose source trained it.
        real: source of real images, by semantic.
        unseen: the semantics that are in the test split alone; others come first.
        new_seeds: instances that are in the test split alone.
        counts: by split, images of each source and semantic, divided among its instances; new seeds
            together have as many again in "test".
        seed: of the noise and of which real images come where.
        follow_links: of folders of real images, whether to follow links that leave them.
        say: told, a line at a time, what is to be known of it.
        progress: may draw a bar.

    Returns:
        The content of benchmark.json.

    Raises:
        ValueError: for a source without a run of some semantic, runs of different sizes or of
            points, too few real images, real files of mixed codecs or sizes, and as
            `write_benchmark`.
    """
    for split in LISTS:
        if counts.get(split, 0) < 1:
            raise ValueError(f"{counts.get(split, 0)} images in {split}: give at least 1")
    loaded = {text: _load(text) for text in dict.fromkeys(runs)}
    named = [_named(text, made.gan, real) for text, made in loaded.items()]
    made = dict(zip((run.name for run in named), loaded.values(), strict=True))
    _check_names(named, real, unseen, new_seeds)
    size, channels = _one_size(named, made)
    sources = sorted({run.source for run in named})
    seen = [semantic for semantic in real if semantic not in unseen]
    groups, held_out = [], {}
    for semantic in (*seen, *unseen):
        splits = ("test",) if semantic in unseen else LISTS
        own = [run for run in named if run.semantic == semantic]
        source, facts = _held_out(
            semantic, real[semantic], [made[run.name].gan for run in own], size, follow_links, say
        )
        held_out[semantic] = Rgb(source) if channels == 3 else source
        wanted = {split: counts[split] for split in splits}
        fresh = _Fresh(semantic, held_out[semantic], facts.pop("trained"), seed)
        groups.append(Group(REAL, semantic, "", wanted, facts, fresh))
        for name in sources:
            known = [r for r in own if r.source == name and r.instance not in new_seeds]
            new = [r for r in own if r.source == name and r.instance in new_seeds]
            for some, parts in ((known, splits), (new, ("test",))):
                for place, run in enumerate(some):
                    share = {part: _share(counts[part], len(some), place) for part in parts}
                    groups.append(_generated(run, share, *made[run.name], seed))
    for line in check_alike({name: getattr(s, "source", s) for name, s in held_out.items()}):
        say(line)
    facts = write_benchmark(
        folder,
        groups,
        names=(REAL, *sources),
        seen=seen,
        unseen=unseen,
        about={"new_seeds": list(new_seeds), "seed": seed, "provenance": provenance()},
        progress=progress,
    )
    for group in facts["groups"]:
        total = max(end for _, end in group["rows"].values())
        if group["distinct"] < 0.9 * total:
            say(
                f"{group['source']}/{group['semantic']}/{group['instance']}: only "
                f"{group['distinct']} of {total} images differ: the generator has collapsed, and "
                "equal images stand in several splits"
            )
    return facts


def _load(text: str) -> _Loaded:
    folder = Path(text.partition("=")[2] or text)
    gan, state = load_gan(folder)
    if gan.game.data != "image":
        raise ValueError(f"{folder}: its GAN makes points, and images are needed: leave it out")
    return _Loaded(gan, with_average(gan, state))


def _named(text: str, gan: Gan, real: Mapping[str, str]) -> Run:
    """The place of a run, as it is said or as its config tells."""
    place, said, folder = text.partition("=")
    if said:
        parts = place.split("/")
        if len(parts) != 3 or not all(parts) or {".", ".."} & {*parts}:
            raise ValueError(f"{text}: write SOURCE/SEMANTIC/INSTANCE=FOLDER, or the FOLDER alone")
        source, semantic, instance = parts
        return Run(source, semantic, instance, Path(folder))
    config = gan.config
    semantics = [name for name, source in real.items() if _same(source, config.data)]
    if len(semantics) != 1:
        raise ValueError(
            f"{text}: it trained on {config.data}, which is the source of {len(semantics)} of the "
            f"semantics {listed(real)}: write SOURCE/SEMANTIC/INSTANCE={text}"
        )
    tail = "" if config.tail == "BASELINE" else f"-{config.tail}"
    return Run(f"{config.method}{tail}", semantics[0], str(config.seed), Path(text))


def _same(a: str, b: str) -> bool:
    """Whether two names are of one source; a folder may be written in several ways."""

    def plain(name: str) -> str:
        path = Path(name.removeprefix("folder:")).expanduser()
        return str(path.resolve()) if path.is_dir() else name

    return plain(a) == plain(b)


def _check_names(
    runs: Sequence[Run], real: Mapping[str, str], unseen: Sequence[str], new_seeds: Sequence[str]
) -> None:
    names = [run.name for run in runs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        folders = ", ".join(str(run.folder) for run in runs if run.name == twice[0])
        raise ValueError(
            f"several runs are {twice[0]}: {folders}; write SOURCE/SEMANTIC/INSTANCE=FOLDER"
        )
    if REAL in {run.source for run in runs}:
        raise ValueError(f"no source of generated images is called {REAL!r}: choose another name")
    if other := sorted({run.semantic for run in runs} - {*real}):
        raise ValueError(f"no real images of {listed(other)}: give --real {other[0]}=SOURCE")
    if other := [name for name in unseen if name not in real]:
        raise ValueError(f"unseen {listed(other)}: semantics are {listed(real)}")
    if not set(real) - {*unseen}:
        raise ValueError("all semantics are unseen: nothing is left to train on")
    instances = {run.instance for run in runs}
    if other := [name for name in new_seeds if name not in instances]:
        raise ValueError(f"no run is of instance {listed(other)}: {listed(sorted(instances))}")
    places = {(r.source, r.semantic) for r in runs if r.instance not in new_seeds}
    sources = sorted({run.source for run in runs})
    if missing := [f"{s}/{m}" for s in sources for m in real if (s, m) not in places]:
        raise ValueError(
            f"{len(missing)} sources and semantics have no run (of an instance that is not new): "
            f"{listed(missing[:12])}. What semantics a source has would give it away: give the "
            "runs, or leave the semantic or the source out"
        )


def _one_size(runs: Sequence[Run], made: Mapping[str, _Loaded]) -> tuple[int, int]:
    kinds: dict[tuple[int, int], str] = {}
    for run in runs:
        config = made[run.name].gan.config
        kinds.setdefault((config.size, config.channels or 3), run.name)
    if len(kinds) > 1:
        some = ", ".join(f"{s}x{s} of {c} channels ({name})" for (s, c), name in kinds.items())
        raise ValueError(f"runs of different sizes: {some}; a benchmark has one")
    return next(iter(kinds))


def _held_out(
    semantic: str,
    name: str,
    gans: Sequence[Gan],
    size: int,
    follow_links: bool,
    say: Callable[[str], None],
) -> tuple[Source, dict[str, Any]]:
    """Real images of a semantic, and of what is known that trained; "trained" are digests of it."""
    trained: dict[str, set[bytes] | None] = {}
    for config in (gan.config for gan in gans):
        what = f"{config.data}, split {config.split or 'train'}"
        if _same(name, config.data) and config.split == "all":
            raise ValueError(
                f"{semantic}: a run trained with all images of {name} (--split all): none is held "
                "out; give another source, or a run that trained with a part"
            )
        if what not in trained:
            trained[what] = _digests_of(config.data, config.split or "train", size, follow_links)
    unknown = [what for what, digests in trained.items() if digests is None]
    same = any(_same(name, gan.config.data) for gan in gans)
    split = "test" if same else "all"
    for what in unknown:
        if not what.startswith(f"{name}, ") or not same:
            say(
                f"{semantic}: real images of {name} were not compared with those that trained "
                f"({what}): whether some are the same cannot be known"
            )
    facts = {
        "data": name,
        "split": split,
        "trained_on": list(trained),
        "not_compared_with": unknown,
        "trained": set().union(*(digests for digests in trained.values() if digests)),
    }
    source = open_source(name, size=size, split=split, follow_links=follow_links)
    if line := account.splits(source):
        say(f"{name}: {line}")
    told = account.folders(source)
    facts |= {key: told[key] for key in ("splits", "read_as") if key in told}
    return source, facts


def _digests_of(name: str, split: str, size: int, follow_links: bool) -> set[bytes] | None:
    """Digests of the images that trained; None where they are too many or not to be had."""
    try:
        source = open_source(name, size=size, split=split, follow_links=follow_links)
        if len(source) > _MOST_COMPARED:
            return None
        return {_digest(image) for part in chunks(Rgb(source), 256) for image in part["image"]}
    except (OSError, ValueError, ImportError):
        return None


def _digest(image: UInt8[np.ndarray, "h w c"]) -> bytes:
    return hashlib.sha256(image.tobytes()).digest()


class _Fresh(NamedTuple):
    """Draws real images of which none trained, none twice, in an order that the seed decides."""

    semantic: str
    source: Source
    trained: set[bytes]
    seed: int

    def __call__(self, n: int) -> tuple[UInt8[np.ndarray, "n s s c"], Mapping[str, Any]]:
        kept, seen, left_out = [], set(), 0
        for image in self._shuffled():
            # As RGB, as the digests of those that trained are.
            digest = _digest(np.repeat(image, 3 // image.shape[-1], -1))
            if digest in self.trained or digest in seen:
                left_out += 1
                continue
            seen.add(digest)
            kept.append(image)
            if len(kept) == n:
                return np.stack(kept), {"left_out_as_equal": left_out}
        raise ValueError(
            f"{shown(self.semantic)}: {n} real images are needed and {len(kept)} are held out "
            f"({left_out} more equal one that trained a GAN, or another): ask for fewer, or give "
            "more real images"
        )

    def _shuffled(self) -> Iterator[UInt8[np.ndarray, "h w c"]]:
        rng = np.random.default_rng([self.seed, zlib.crc32(self.semantic.encode())])
        order = rng.permutation(len(self.source))
        for first in range(0, len(order), 64):
            yield from take(self.source, order[first : first + 64])["image"]


def _share(total: int, among: int, place: int) -> int:
    """How many of `total` the instance at a place gets: all alike, up to one."""
    return total // among + (place < total % among)


def _generated(
    run: Run, counts: Mapping[str, int], gan: Gan, state: TrainState, seed: int
) -> Group:
    noise = zlib.crc32(f"{seed}/{run.name}".encode())

    def draw(n: int) -> tuple[UInt8[np.ndarray, "n s s c"], Mapping[str, Any]]:
        return generate(gan, state, n, seed=noise), {}

    config = json.dumps(asdict(gan.config), sort_keys=True)
    facts = {
        "run": run.folder.name,
        "config": asdict(gan.config),
        "config_sha256": hashlib.sha256(config.encode()).hexdigest(),
        "step": int(state.step),
        "noise_seed": noise,
    }
    if averaged := about_average(gan, int(state.step)):
        facts["average"] = averaged
    return Group(run.source, run.semantic, run.instance, counts, facts, draw)
