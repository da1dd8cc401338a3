"""`gan-forensics augment`: new rows for a table."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from tyro.conf import Positional, arg

from gan_forensics.cli.checks import at_least, listed, not_given
from gan_forensics.cli.process import guessed, read_table
from gan_forensics.files import say, tell

Method = Literal[
    "doping",
    "duplicate",
    "jitter",
    "interpolation",
    "smote",
    "plain_gan",
    "prior",
    "edge_duplicate",
    "latent_interpolation",
    "reconstruct_all",
]
AUTOENCODERS = ("doping", "prior", "edge_duplicate", "latent_interpolation", "reconstruct_all")


class Taken(NamedTuple):
    """Which methods take an option; the others, which would ignore it, refuse it.

    Attributes:
        methods: those that take it.
        default: what it is where it is not given.
    """

    methods: tuple[str, ...]
    default: Any


TAKEN = {
    "n": Taken(tuple(name for name in get_args(Method) if name != "reconstruct_all"), 100),
    "edge": Taken(("doping", "edge_duplicate", "latent_interpolation"), ("data",)),
    "latent": Taken(AUTOENCODERS, 2),
    "width": Taken((*AUTOENCODERS, "plain_gan"), 128),
    "steps": Taken((*AUTOENCODERS, "plain_gan"), 3000),
    "constant_columns": Taken(AUTOENCODERS, "raise"),
}


def _taken(option: str, what: str, **more: Any) -> Any:
    """The help of an option: what it is, of which methods, and its default."""
    methods, default = TAKEN[option]
    others = [name for name in get_args(Method) if name not in methods]
    of = f"all methods but {listed(others)}" if len(others) < len(methods) else listed(methods)
    default = " ".join(default) if isinstance(default, tuple) else default
    return arg(help=f"{what}; of {of}, by default {default}.", **more)


@dataclass(frozen=True)
class Augment:
    """Append new rows to a table, so that rare normal rows become less rare.

    The rows of TABLE come first and unchanged. Where a label is named, only rows of the normal
    label are learnt from, and the new rows carry it: the other one of two where --anomaly is given,
    else the most frequent one, if two thirds of the rows carry it.

    Try it:

    $ gan-forensics augment normal.csv --method doping --n 500 --out more.csv

    $ gan-forensics augment normal.csv --n 500 --edge quantile 0.9 0.997 --out more.csv

    $ gan-forensics augment table.mat --label y --n 100 --out more.npz
    """

    table: Positional[Path]
    """A .csv file with a header of names, or an .npz or .mat file with rows in X."""
    out: Path
    """A .csv, .npz or .mat file."""
    n: Annotated[int | None, _taken("n", "How many rows", aliases=["-n"])] = None
    method: Method = "doping"
    """How they are made; reconstruct_all makes one for every row. What a method does not take is
    refused."""
    label: str | None = None
    """The column (CSV) or array (others) of labels, which is not learnt from."""
    anomaly: str | None = None
    """The label of anomalies; needed where no label marks two thirds of the rows (55 % where it is
    0 of 0 and 1), or where 1 of 0 and 1 does."""
    edge: Annotated[
        tuple[str, ...] | None,
        _taken(
            "edge",
            "Where codes are drawn: data; band LOW HIGH; annulus LOW HIGH; empirical LOW HIGH; "
            "and, of doping alone, quantile LOW HIGH; shell R (prior deviations); prior",
        ),
    ] = None
    latent: Annotated[int | None, _taken("latent", "Length of a code")] = None
    width: Annotated[int | None, _taken("width", "Of the networks' two hidden layers")] = None
    steps: Annotated[int | None, _taken("steps", "Of training")] = None
    constant_columns: Annotated[
        Literal["raise", "keep"] | None,
        _taken(
            "constant_columns",
            "What to do with columns of a single value, which the other methods leave as they are",
        ),
    ] = None
    round: bool = False
    """Round new values in columns that hold only whole numbers; of all methods but duplicate, whose
    rows are copies."""
    seed: int = 0
    """Of training and draws."""

    def __call__(self) -> None:
        """Run it."""
        import dataclasses

        import numpy as np

        from gan_forensics.anomaly import new_rows, normal_label, write_table
        from gan_forensics.anomaly.containers import append_labels
        from gan_forensics.anomaly.labels import label_spelt
        from gan_forensics.anomaly.resampling import BETWEEN
        from gan_forensics.anomaly.tables import check_table_path
        from gan_forensics.data.copies import copies, copies_said
        from gan_forensics.files import check_file_out, write_json
        from gan_forensics.files.paths import is_stream

        settings = self._checked()
        check_file_out(self.out)
        facts_out = self.out.with_name(f"{self.out.name}.json")
        check_file_out(facts_out)
        table = read_table(self.table, self.label)
        check_table_path(self.out, image=table.x.ndim != 2)
        rows, labels, normal = table.x, table.y, None
        if labels is not None:
            anomaly = None if self.anomaly is None else label_spelt(labels, self.anomaly)
            normal = normal_label(labels, anomaly=anomaly)
            rows = rows[labels == normal]
            tell(
                f"{self.label}: {normal} is normal, {len(rows)} of {len(labels)} rows; new rows "
                f"carry it{guessed(self.anomaly)}"
            )
        self._check_constant(rows, table.columns)
        if self.method in BETWEEN and (found := copies(rows)).repeated:
            tell(
                f"{copies_said(found, 'rows')}: neighbours are taken among the {len(found.first)} "
                "that differ"
            )
        with _unmatched_said():
            new, beyond = new_rows(
                rows,
                TAKEN["n"].default if self.n is None else self.n,
                method=self.method,
                seed=self.seed,
                round_integers=self.round,
                **settings,
            )
        if labels is not None:
            labels = append_labels(labels, normal, len(new))
        both = dataclasses.replace(table, x=np.concatenate([table.x, new]), y=labels)
        csv_to_csv = {self.table.suffix.lower(), self.out.suffix.lower()} == {".csv"}
        write_table(self.out, both, source=self.table if csv_to_csv else None)
        names = table.columns or [str(i) for i in range(len(beyond))]
        outside = {name: int(n) for name, n in zip(names, beyond, strict=True) if n}
        whole = self._no_longer_whole(rows, new, table.columns)
        if not is_stream(self.out):
            facts = {
                "table": str(self.table),
                "read_as": table.read_as,
                "method": self.method,
                "seed": self.seed,
                **settings,
                "rows": len(table.x),
                "new_rows": len(new),
                "label": self.label,
                "normal": str(normal) if self.label else None,
                "set_to_the_ends_of_their_range": outside,
                "no_longer_whole": whole,
            }
            write_json(facts_out, facts)
        _say_range(outside, new.size)
        if whole:
            say(f"{listed(whole)}: whole numbers in training, and not in new rows: --round")
        tell(f"{len(table.x)} rows and {len(new)} new ones in {self.out}")

    def _no_longer_whole(self, rows: Any, new: Any, columns: tuple[str, ...]) -> list[str]:
        """Names of the columns that hold whole numbers alone, but in new rows."""
        whole = (rows == rows.round()).all(0) & (new != new.round()).any(0)
        return [columns[i] for i in whole.nonzero()[0]] if columns else []

    def _check_constant(self, rows: Any, columns: tuple[str, ...]) -> None:
        """Refuse columns of a single value by their names, where the method would."""
        from gan_forensics.anomaly.scaling import constant_columns

        if self.method not in AUTOENCODERS or self.constant_columns == "keep" or not columns:
            return
        alike = constant_columns(rows)
        if alike.any() and not alike.all():
            named = listed([repr(columns[i]) for i in alike.nonzero()[0][:5]])
            raise ValueError(
                f"{self.table}: columns of a single value ({named}): leave them out, or pass "
                "--constant-columns keep"
            )

    def _checked(self) -> dict[str, Any]:
        """The settings that were given, as `augment` names them; others have its defaults.

        Raises:
            ValueError: for an option that the method does not take, or a value that cannot be.
        """
        for option, (methods, _) in TAKEN.items():
            if self.method not in methods:
                why = f"{self.method} does not take it ({listed(methods)} do)"
                not_given(why, **{option: getattr(self, option)})
        if self.method == "duplicate":
            not_given("duplicate copies rows as they are", round=self.round or None)
        at_least(1, n=self.n, latent=self.latent, width=self.width, steps=self.steps)
        at_least(0, seed=self.seed)
        if self.label is None:
            not_given("it is one of the labels; name their column by --label", anomaly=self.anomaly)
        from gan_forensics.anomaly import check_settings
        from gan_forensics.anomaly.tables import check_table_path

        check_table_path(self.out)
        settings = {
            "edge": self.edge,
            "latent_dim": self.latent,
            "hidden": None if self.width is None else (self.width, self.width),
            "steps": self.steps,
            "constant_columns": self.constant_columns,
        }
        given = {name: value for name, value in settings.items() if value is not None}
        check_settings(self.method, **given)
        return given


def _say_range(outside: dict[str, int], values: int) -> None:
    """Say how many new values would have been outside of the range of their column."""
    if outside:
        some = [f"{name} {n}" for name, n in list(outside.items())[:5]]
        more = f" and {len(outside) - 5} columns more" if len(outside) > 5 else ""
        tell(
            f"{sum(outside.values())} of {values} new values were drawn outside of the range that "
            f"their column has in training, and are set to its ends: {', '.join(some)}{more}"
        )
    else:
        tell("all new values lie within the range that their column has in training")


@contextmanager
def _unmatched_said() -> Iterator[None]:
    """Say on a line what `Doping` warns of: codes that do not follow their prior."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", ConvergenceWarning)
        others = warnings.showwarning

        def show(message, category, *place, **more):
            if issubclass(category, ConvergenceWarning):
                say(str(message))
            else:
                others(message, category, *place, **more)

        warnings.showwarning = show
        yield
