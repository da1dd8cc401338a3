"""Options of the commands that score millions of images: workers by shards, and their merge."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gan_forensics.cli.checks import at_least, not_among, not_given
from gan_forensics.files import (
    check_file_out,
    check_folder_out,
    listed,
    say,
    shown,
    tell,
    write_json,
)
from gan_forensics.files.progress import progress_bar

if TYPE_CHECKING:
    from gan_forensics.forensics.score_stream import Scorer


@dataclass(frozen=True)
class Sharding:
    """Many workers, that know nothing of each other, share the work by shards of the inputs."""

    shard: str | None = None
    """I/N: be worker I of N, from 0/N to N-1/N. --out is then the folder where each shard of the
    inputs gets its table. Started again, with any N, workers go on; new inputs are added, and a
    file that has a row is not looked at again, except an archive of another size. Of a
    SLURM array I is $SLURM_ARRAY_TASK_ID, of an indexed job of Kubernetes $JOB_COMPLETION_INDEX."""
    merge: Path | None = None
    """Put all tables in the folder --out together, whatever inputs are named, in this file
    (.parquet or .csv; `spectrum` and `features` take it for a folder), after a check that every
    image has one row; what is missing is said."""
    retry_failed: bool = False
    """With --shard or --engine: try those images again of which the tables hold an error."""
    time_limit: float = 600
    """With --shard or --engine ray: seconds within which some 64 images have to be done, or the
    worker is ended (SIGALRM). What stalls or kills a worker is tried alone by the next one, and
    passed over after the second time. 0 sets no limit."""
    engine: Literal["ray", "beam"] | None = None
    """In place of --shard: let Ray Data (pip install 'gan_forensics[ray]') or Apache Beam hand the
    shards to workers, on this machine or on a cluster of theirs that reaches all paths."""
    engine_options: tuple[str, ...] = ()
    """Of Ray workers=N, by default one for each CPU; of Beam its pipeline options, as NAME=VALUE:
    runner=FlinkRunner flink_master=localhost:8081."""

    @property
    def asked(self) -> bool:
        """Whether there are shards at all."""
        return self.shard is not None or self.merge is not None or self.engine is not None

    def check(self, out: Path, default: Path, *, table: bool = True, **others: Any) -> None:
        """Refuse what does not go together.

        Args:
            out: where results go.
            default: where they go when that is not said, which is another kind of place.
            table: whether a merge writes a table.
            others: options that shards do not have.

        Raises:
            ValueError: naming the option.
        """
        at_least(0, time_limit=self.time_limit)
        limit = None if self.time_limit == Sharding.time_limit else self.time_limit
        if not self.asked:
            why = "it is of --shard I/N"
            not_given(why, retry_failed=self.retry_failed or None, time_limit=limit)
            not_given("it is of --engine", engine_options=self.engine_options or None)
            return
        not_given("there are no shards of it (--shard, --merge)", **others)
        if out == default:
            raise ValueError("give --out FOLDER, the folder of the tables of all shards")
        if self.merge is not None:
            why = "--merge puts together what workers made"
            not_given(
                why, shard=self.shard, retry_failed=self.retry_failed or None, engine=self.engine
            )
            if not table:
                return
            if self.merge.suffix.lower() not in (".parquet", ".csv"):
                raise ValueError(
                    f"--merge {shown(self.merge)}: the table is .parquet or .csv; name one"
                )
            check_file_out(self.merge, "--merge")
            beside = self.merge.with_suffix(".json")
            not_among("--merge", beside, what_the_results_rest_on=out / "scoring.json")
            if (out / "results").resolve() in self.merge.resolve().parents:
                raise ValueError(
                    f"--merge {shown(self.merge)}: the tables of the shards lie there; choose "
                    "another folder"
                )
        elif self.engine is not None:
            not_given("--engine hands out all shards", shard=self.shard)
            if self.engine == "beam":
                not_given("Beam's workers have several threads, and no limit", time_limit=limit)
            self.options()
        else:
            self.place()

    def options(self) -> dict[str, str]:
        """The options of the engine.

        Raises:
            ValueError: for what is no NAME=VALUE.
        """
        found = {}
        for given in self.engine_options:
            name, equals, value = given.partition("=")
            if not name or not equals:
                raise ValueError(f"--engine-options {shown(given)}: NAME=VALUE is needed")
            found[name] = value
        return found

    def place(self) -> tuple[int, int]:
        """Which worker it is, of how many.

        Raises:
            ValueError: for what is no I/N.
        """
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", self.shard or "")
        place, count = (int(match[1]), int(match[2])) if match else (0, 0)
        if place >= count:
            raise ValueError(
                f"--shard {shown(self.shard)}: I/N is needed, of N workers the first is 0/N, the "
                "last N-1/N; such as 0/8"
            )
        return place, count

    def run(
        self,
        scorer: "Scorer",
        inputs: Sequence[Path],
        out: Path,
        *,
        follow_links: bool,
        make: "Callable[[], Scorer]",
        take: Callable[[Mapping[str, Any]], None] = lambda row: None,
        facts: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """Score the shards of this worker, or put all together.

        Args:
            scorer: what scores.
            inputs: as of `data.shards_of`; in a merge, images that came later are missing.
            out: the folder of the tables of all shards.
            follow_links: follow links that leave a folder.
            make: makes the scorer in each worker of an engine.
            take: told every row of a merge.
            facts: of all rows, for the summary beside the table of a merge.
        """
        from gan_forensics.forensics.shard_results import open_results, plan

        check_folder_out(out)
        if self.merge is not None and not (out / "scoring.json").exists():
            raise ValueError(
                f"--out {shown(out)}: it holds no results of shards; check the path, or start "
                "workers first (--shard)"
            )
        open_results(out, scorer.identity)
        _say_left_out(plan(out, inputs, follow_links=follow_links))
        if self.engine is not None:
            self._let_work(make, out)
        elif self.merge is None:
            self._work(scorer, out)
        elif "verdict" in scorer.columns:
            _check_no_input(self.merge, inputs, out)
            self._put_together(self.merge, scorer, out, take, facts)
        else:
            from gan_forensics.forensics.shard_merge import rows_of

            for row in progress_bar(rows_of(out, scorer.identity), unit="row"):
                take(row)

    def _work(self, scorer: "Scorer", out: Path) -> None:
        """Score the shards that are this worker's."""
        from gan_forensics.data.packed import NO_IMAGE
        from gan_forensics.forensics.attempts import Busy
        from gan_forensics.forensics.score_stream import score_shard
        from gan_forensics.forensics.shard_results import planned

        place, count = self.place()
        shards, mine, with_others = 0, 0, 0
        with progress_bar(unit="image") as bar:

            def counted(found: Iterable[Any]) -> Iterator[Any]:
                for each in found:
                    yield each
                    if not each.failure or each.failure.kind != NO_IMAGE:
                        bar.update()

            for shards, shard in enumerate(planned(out), start=1):
                if (shards - 1) % count != place:
                    continue
                mine += 1
                try:
                    score_shard(
                        shard, scorer, out,
                        again=self.retry_failed, seconds=self.time_limit, progress=counted,
                    )  # fmt: skip
                except Busy as busy:
                    with_others += 1
                    say(f"{busy}: left to it")
        if not mine:
            tell(f"{shards} shards for {count} workers: there is none for worker {place}/{count}")
            return
        others = f"; {with_others} of them are with other workers" if with_others else ""
        tell(
            f"worker {place}/{count}: {mine} of {shards} shards have their tables in "
            f"{shown(out / 'results')}{others}",
            "when all workers are done, the same command with --merge FILE in place of --shard "
            "puts them together",
        )

    def _let_work(self, make: "Callable[[], Scorer]", out: Path) -> None:
        """Let an engine score all shards."""
        from gan_forensics.forensics.score_engines import score_with_beam, score_with_ray
        from gan_forensics.forensics.shard_results import is_done, planned

        if self.engine == "ray":
            limit = self.time_limit
            score_with_ray(make, out, self.options(), again=self.retry_failed, seconds=limit)
        else:
            score_with_beam(make, out, self.options(), again=self.retry_failed)
        done = [is_done(out, shard) for shard in planned(out)]
        tell(
            f"{sum(done)} of {len(done)} shards have their tables in {shown(out / 'results')}",
            "the same command with --merge FILE in place of --engine puts them together",
        )

    def _put_together(
        self,
        table: Path,
        scorer: "Scorer",
        out: Path,
        take: Callable[[Mapping[str, Any]], None],
        facts: Callable[[], Mapping[str, Any]],
    ) -> None:
        """Write the table of all shards, and beside it a summary, as .json."""
        from gan_forensics.forensics.shard_merge import merge

        verdicts: Counter[str] = Counter()

        def told(row: Mapping[str, Any]) -> None:
            verdicts.update([row["verdict"]] if row["verdict"] else [])
            take(row)

        whole = merge(out, table, scorer.columns, scorer.identity, told)
        summary = {
            "identity": dict(scorer.identity),
            "shards": whole.shards,
            "rows": whole.rows,
            "errors": dict(whole.errors),
            "left_out": dict(whole.left_out),
            "verdicts": dict(verdicts.most_common()),
            **facts(),
        }
        beside = table.with_suffix(".json")
        write_json(beside, summary)
        failed = sum(whole.errors.values())
        kinds = listed([f"{n} {kind}" for kind, n in sorted(whole.errors.items())])
        tell(
            f"{whole.rows:,} rows of {whole.shards} shards, each image once"
            + (f"; {failed:,} have an error: {kinds}" if failed else "")
            + f"; all of {shown(out)} is in {shown(table)}, and a summary in {shown(beside)}",
            listed([f"{n:,} {name}" for name, n in verdicts.most_common()]) or "no verdicts",
        )
        _say_left_out(whole.left_out, "in archives ")


def _check_no_input(table: Path, inputs: Sequence[Path], out: Path) -> None:
    """Refuse a table that would replace what is scored."""
    from gan_forensics.data.input_shards import FOLDER
    from gan_forensics.forensics.shard_results import planned

    for path in filter(Path.exists, (table, table.with_suffix(".json"))):
        files = (Path(shard.uri) for shard in planned(out) if shard.kind != FOLDER)
        for other in chain(inputs, files):
            not_among("--merge", path, a_file_that_is_scored=other)


def _say_left_out(left_out: Counter[str], where: str = "") -> None:
    if left_out:
        said = listed([f"{n} {reason}" for reason, n in left_out.items()])
        say(f"{where}{sum(left_out.values()):,} files left out: {said}")
