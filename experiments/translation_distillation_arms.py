"""Teachers and students of `experiments.translation_distillation`, each kept when it is done.

    teacher     alpha     cross-entropy, smoothed with alpha
    none        alpha     the same as a student: another seed of weights, no teacher
    word        alpha, T  top-k logits of the teacher of alpha at every token, read at T
    matched     T         by word from the hard teacher, read at T / c; c is the spread of the
                          smoothed teacher's logits by that of the hard one's
    sequence    alpha     cross-entropy on what the teacher of alpha translates by beam search

Students do not smooth the hard labels that they learn from (a tenth of their loss by word, all
of it by sequence), so that alpha is their teacher's; only the arm `none` smooths its own.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from flax import traverse_util

from gan_forensics.distill.losses import logit_spread
from gan_forensics.distill.translate import translate_lines
from gan_forensics.distill.translator import Translator, TranslatorConfig
from gan_forensics.distill.translator_fit import Fitted, fit_translator, teacher_top_logits
from gan_forensics.experiments.translation_distillation_tasks import Task
from gan_forensics.files.archives import read_archive, write_archive
from gan_forensics.studies.runner import as_json, stored_part
from gan_forensics.studies.translation_scores import translation_scores

KINDS = ("none", "word", "matched", "sequence")
# What a student adds to its teacher's seed.
_STUDENT = 1000
# Sentences that the spread of logits is taken of.
_SPREAD = 500


@dataclass(frozen=True)
class Grid:
    """What is trained on each of some texts.

    Attributes:
        sources: names as `open_parallel` takes them, or "catalogues".
        numbers: in words to train on, for each source; none for texts that end by themselves.
        held_out: numbers to validate and to test on.
        largest: number that occurs.
        seeds: of teachers; of the numbers as well.
        students: kinds of students, of `none`, `word`, `matched`, `sequence`.
        alphas: smoothings of teachers, the hard one (0) first.
        temperatures: of students by word.
        pieces: of the vocabulary.
        vocabulary: its kind.
        top_k: logits that are kept of a teacher.
        beam: of every translation.
        steps: of a training at most.
        evaluate_every: steps between evaluations on the validation pairs; the best is kept.
        patience: evaluations without a new best that end a teacher's training; 0 for never.
        student_patience: likewise of a student's.
        recipe: of networks and training.
    """

    sources: tuple[str, ...] = ("numbers:de", "numbers:ru")
    numbers: tuple[int, ...] = (1000, 200)
    held_out: tuple[int, int] = (300, 500)
    largest: int = 99_999
    seeds: tuple[int, ...] = (0, 1, 2)
    students: tuple[str, ...] = KINDS
    alphas: tuple[float, ...] = (0.0, 0.1)
    temperatures: tuple[float, ...] = (1.0, 2.0, 3.0, 64.0)
    pieces: int = 200
    vocabulary: str = "unigram"
    top_k: int = 4
    beam: int = 4
    steps: int = 400
    evaluate_every: int = 100
    patience: int = 0
    student_patience: int = 0
    recipe: TranslatorConfig = field(
        default_factory=lambda: TranslatorConfig(
            layers=1, width=64, feed_forward=128, dropout=0.1, tokens=512, longest=32,
            learning_rate=3e-3, warm_up=100,
        )
    )  # fmt: skip


def check_grid(grid: Grid) -> None:
    """Refuse grids that cannot be (ValueError)."""
    if unknown := sorted({*grid.students} - {*KINDS}):
        raise ValueError(f"unknown students {', '.join(unknown)}; they are {', '.join(KINDS)}")
    if grid.alphas[:1] != (0.0,) or not all(0 <= alpha < 1 for alpha in grid.alphas):
        raise ValueError(f"alphas begin with 0 and lie below 1, got {grid.alphas}")
    if grid.numbers and len(grid.numbers) != len(grid.sources):
        raise ValueError(
            f"numbers are given for each source: {len(grid.numbers)} for {len(grid.sources)}"
        )
    if not grid.temperatures or min(grid.temperatures) <= 0:
        raise ValueError(f"temperatures must be positive, got {grid.temperatures}")
    if "matched" in grid.students and len(grid.alphas) < 2:
        raise ValueError("matched temperatures need a smoothed teacher: give a second alpha")


def arms(grid: Grid) -> Iterator[tuple[str, float, float]]:
    """(kind, alpha, T) of every student; T is 1 where it has no meaning."""
    for kind in grid.students:
        alphas = grid.alphas[:1] if kind == "matched" else grid.alphas
        by_word = kind in ("word", "matched")
        for alpha in alphas:
            for temperature in grid.temperatures if by_word else (1.0,):
                yield kind, alpha, temperature


def arm_name(kind: str, alpha: float, temperature: float) -> str:
    """A name for tables and files."""
    return f"{kind} {alpha:g}" + (f" T{temperature:g}" if kind in ("word", "matched") else "")


def measure_task(
    grid: Grid, task: Task, source: str, seed: int, folder: Path
) -> tuple[dict[str, Any], float]:
    """Train and score the teachers and students of one seed.

    Args:
        grid: what to train.
        task: on what.
        source: its name.
        seed: of the teachers.
        folder: for what is kept.

    Returns:
        By the arm's name its scores by split, "nll" of the validation pairs, "steps" and, where a
        split is small, its translations; and "ratio", c of the matched temperatures. Then seconds.
    """
    stem = "".join(c if c.isalnum() else "-" for c in source) + f"-seed{seed}"
    # What does not depend on the order or number of the others.
    lists = ("sources", "numbers", "seeds", "students", "alphas", "temperatures")
    asked = {key: value for key, value in asdict(grid).items() if key not in lists}
    asked |= {"source": source, "seed": seed, "facts": task.facts}
    results, seconds = {}, 0.0
    teachers = {}

    def kept(name: str, job: Any) -> Any:
        nonlocal seconds
        path = folder / f"{stem}-{name.replace(' ', '-')}.json"
        result, took = stored_part(path, {**asked, "arm": name}, job)
        seconds += took
        return result

    for alpha in grid.alphas:
        name = f"teacher {alpha:g}"
        path = folder / f"{stem}-teacher-{alpha:g}.npz"
        load = functools.cache(
            functools.partial(
                _stored_teacher, path, grid, task, alpha, seed, {**asked, "arm": name}
            )
        )
        teachers[alpha] = _Teacher(load, grid, task)
        results[name] = kept(name, lambda load=load: _scores(grid, task, load()))
    if "matched" in grid.students:
        both = teachers[grid.alphas[0]], teachers[grid.alphas[1]]
        results["ratio"] = kept("ratio", lambda: _ratio(both, task))
    for kind, alpha, temperature in arms(grid):
        name = arm_name(kind, alpha, temperature)
        read_at = temperature / results["ratio"] if kind == "matched" else temperature
        results[name] = kept(
            name,
            lambda kind=kind, alpha=alpha, t=read_at: _scores(
                grid, task, _student(grid, task, teachers[alpha], kind, alpha, t, seed)
            ),
        )
    return results, seconds


class _Teacher:
    """A teacher, and what students learn from it, made when first asked for."""

    def __init__(self, load: Any, grid: Grid, task: Task):
        self.load, self._grid, self._task = load, grid, task

    @functools.cached_property
    def top(self) -> Mapping[str, Any]:
        """Its largest logits at every token of the training pairs."""
        ids = self._task.ids("train")
        return teacher_top_logits(self.load().translator, *ids, k=self._grid.top_k)

    @functools.cached_property
    def translations(self) -> tuple[list[list[int]], list[list[int]]]:
        """The training sources and what it makes of them, where it makes anything."""
        source, _ = self._task.text["train"]
        said = _translations(self._grid, self.load().translator, source)
        encode, most = self._task.vocabulary.encode, self._grid.recipe.longest - 1
        # Cut into pieces anew, what a poor teacher repeats can be longer than a sentence may be.
        pairs = [(encode(s), encode(t)[:most]) for s, t in zip(source, said, strict=True) if t]
        return [s for s, _ in pairs], [t for _, t in pairs]


def _fit(
    grid: Grid, task: Task, config: TranslatorConfig, pairs: Any, patience: int, top: Any = None
) -> Fitted:
    return fit_translator(
        config, task.vocabulary, pairs, task.ids("validation"), steps=grid.steps,
        evaluate_every=grid.evaluate_every, patience=patience, top=top, progress=True,
    )  # fmt: skip


def _stored_teacher(
    path: Path, grid: Grid, task: Task, alpha: float, seed: int, asked: Mapping[str, Any]
) -> Fitted:
    """A teacher from its file where the same was asked for before."""
    config = replace(grid.recipe, label_smoothing=alpha, seed=seed)
    asked = as_json(asked)
    if path.exists():
        header, arrays = read_archive(path)
        if header["asked"] == asked:
            params = traverse_util.unflatten_dict(arrays, sep="/")
            translator = Translator(config, task.vocabulary, {"params": params})
            return Fitted(translator, header["history"], header["steps"])
    fitted = _fit(grid, task, config, task.ids("train"), grid.patience)
    arrays = traverse_util.flatten_dict(fitted.translator.variables["params"], sep="/")
    header = {"asked": asked, "history": fitted.history, "steps": fitted.steps}
    write_archive(path, header, {key: np.asarray(array) for key, array in arrays.items()})
    return fitted


def _student(
    grid: Grid, task: Task, teacher: _Teacher, kind: str, alpha: float, read_at: float, seed: int
) -> Fitted:
    config = replace(grid.recipe, seed=seed + _STUDENT, temperature=read_at)
    patience = grid.student_patience
    if kind == "none":
        config = replace(config, label_smoothing=alpha)
        return _fit(grid, task, config, task.ids("train"), patience)
    if kind == "sequence":
        return _fit(grid, task, config, teacher.translations, patience)
    return _fit(grid, task, config, task.ids("train"), patience, teacher.top)


def _ratio(teachers: tuple[_Teacher, _Teacher], task: Task) -> float:
    """Spread of the second teacher's logits over the vocabulary by that of the first's."""
    source, target = (side[:_SPREAD] for side in task.ids("train"))
    spreads = []
    for teacher in teachers:
        every = teacher_top_logits(
            teacher.load().translator, source, target, k=len(task.vocabulary)
        )
        spreads.append(float(logit_spread(np.concatenate(every["top_logit"]))))
    return spreads[1] / spreads[0]


def _translations(grid: Grid, translator: Translator, lines: Any) -> list[str]:
    found = translate_lines(
        translator, lines, beam=grid.beam, longest=grid.recipe.longest, progress=True,
        batch_size=64,
    )  # fmt: skip
    return [best[0][0] for best in found]


def _scores(grid: Grid, task: Task, fitted: Fitted) -> dict[str, Any]:
    """What a translator scores on every split but the one that it was trained on.

    Of texts in sentences the validation split, from which nothing is chosen but the step, is left.
    """
    best = min(fitted.history, key=lambda one: one["validation/nll"])
    result: dict[str, Any] = {"nll": best["validation/nll"], "steps": fitted.steps, "splits": {}}
    sentences = bool(task.facts.get("held out"))
    for split, (source, target) in task.text.items():
        if split != "train" and not (sentences and split == "validation"):
            said = _translations(grid, fitted.translator, source)
            result["splits"][split] = translation_scores(said, target)
            if sentences:  # for the paired bootstrap
                result["splits"][split] |= {"translations": said, "references": list(target)}
    return result
