"""Shards scored by the workers of an engine for data at rest: Ray Data or Apache Beam.

What an engine hands around are places of shards, never images: `score_stream.score_shard` is the
work, and its tables lie where a merge finds them. Of a worker that dies the engine's next one tries
the shard again; tables that are there are left as they are.
"""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from gan_forensics.forensics.attempts import Busy
from gan_forensics.forensics.score_stream import Scorer, score_shard
from gan_forensics.forensics.shard_results import Place, placed, shard_at

Make = Callable[[], Scorer]
# Ray keeps account of each of its tasks: of more shards a task has several.
MOST_TASKS = 10_000


class Worker:
    """What scores the shard of a place, in a process of an engine; it makes the scorer once."""

    def __init__(self, make: Make, out: Path, again: bool, seconds: float, folder: str):
        self.make, self.out, self.again, self.seconds = make, out, again, seconds
        self.folder = folder

    @cached_property
    def scorer(self) -> Scorer:
        """Made where the paths of the command are those of whoever gave it."""
        os.chdir(self.folder)
        return self.make()

    def __call__(self, place: Mapping[str, str | int]) -> Mapping[str, str | int]:
        """Score it, unless another worker does."""
        scorer = self.scorer
        shard = shard_at(self.out, Place(str(place["file"]), int(place["start"])))
        with suppress(Busy):
            score_shard(shard, scorer, self.out, again=self.again, seconds=self.seconds)
        return place


def score_with_ray(
    make: Make, out: Path, options: Mapping[str, str], *, again: bool, seconds: float
) -> None:
    """Score the shards of a folder of results by Ray Data.

    Args:
        make: makes the scorer, in each worker.
        out: the folder, which every worker reaches at this path.
        options: "workers", a number of processes; by default one for each CPU of the cluster.
        again, seconds: as of `score_shard`.

    Raises:
        ImportError: without Ray, naming the extra.
        ValueError: for another option.
    """
    number = re.compile("[1-9][0-9]{0,6}").fullmatch
    if wrong := [name for name, v in options.items() if name != "workers" or not number(v)]:
        raise ValueError(f"--engine-options {wrong[0]}={options[wrong[0]]}: Ray takes workers=N")
    # It would tell its makers what it is used for.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError("--engine ray needs Ray: pip install 'gan_forensics[ray]'") from None
    places = [place._asdict() for place, _ in placed(out)]
    ray.init(ignore_reinit_error=True)
    workers = int(options.get("workers", 0)) or int(ray.cluster_resources()["CPU"])
    given = ray.data.from_items(places, override_num_blocks=min(len(places), MOST_TASKS))
    pool = ray.data.ActorPoolStrategy(size=min(workers, len(places)))
    of = (make, out, again, seconds, os.getcwd())
    for _ in given.map(Worker, fn_constructor_args=of, compute=pool).iter_rows():
        pass


def score_with_beam(make: Make, out: Path, options: Mapping[str, str], *, again: bool) -> None:
    """Score the shards of a folder of results by Apache Beam, on any of its runners.

    Args:
        make, out, again: as of `score_with_ray`. There is no limit on the time of an image.
        options: of the pipeline, such as "runner".

    Raises:
        ImportError: without Beam.
    """
    try:
        import apache_beam as beam  # pyright: ignore[reportMissingImports]
        from apache_beam.options.pipeline_options import (  # pyright: ignore[reportMissingImports]
            PipelineOptions,
        )
    except ImportError:
        raise ImportError(
            "--engine beam needs Apache Beam, in an environment of its own (docs/scoring.md)"
        ) from None
    places = [place._asdict() for place, _ in placed(out)]
    flags = [f"--{name}={value}" for name, value in options.items()]
    with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
        shards = pipeline | beam.Create(places) | beam.Reshuffle()
        _ = shards | beam.Map(Worker(make, out, again, 0, os.getcwd()))
