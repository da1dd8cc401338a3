"""Experiments by name: what is there, what is said of what is not, settings, one name a module."""

import multiprocessing
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from gan_forensics.experiments import doping, fourier_released
from gan_forensics.studies import EXPERIMENTS, by_name, run
from gan_forensics.studies.overrides import overridden
from gan_forensics.studies.results import write_results

ROOT = Path(__file__).parent.parent


@pytest.fixture
def asked(monkeypatch):
    """Experiments that were asked for; of each something is written."""
    seen = []

    def carry_out(experiment):
        seen.append(experiment)
        write_results(experiment.out, {"finding": "f"}, {"rows": [{"seed": 0, "auc": 0.5}]})

    monkeypatch.setattr(by_name, "prepare", lambda out, option: None)
    for module in (doping, fourier_released):
        monkeypatch.setattr(module, "run", carry_out)
    return seen


def test_every_script_that_runs_is_an_experiment():
    folder = Path(doping.__file__).parent
    scripts = [path.stem for path in folder.glob("*.py") if "carry_out(" in path.read_text()]
    assert sorted(scripts) == list(EXPERIMENTS)


def test_an_experiment_is_run_by_name_with_settings_and_its_results_come_back(asked, tmp_path):
    changes = {"tables": ["wine", "digits-7"], "toys": {"radii": (2, 3)}, "compare.seeds": (4,)}
    results = run("doping", "smoke", out=str(tmp_path / "d"), **changes)
    smoke = doping.PRESETS["smoke"][1]
    expected = replace(
        smoke,
        out=tmp_path / "d",
        tables=("wine", "digits-7"),
        toys=replace(smoke.toys, radii=(2.0, 3.0)),
        compare=replace(smoke.compare, seeds=(4,)),
    )
    assert asked == [expected]
    assert results.out == tmp_path / "d" and results.rows() == [{"seed": 0, "auc": 0.5}]


def test_an_experiment_without_presets_needs_what_has_no_default(asked, tmp_path):
    run("fourier_released", folder="sheets", out=tmp_path)
    assert asked == [fourier_released.Experiment(Path("sheets"), out=tmp_path)]
    with pytest.raises(ValueError, match="^fourier_released needs folder$"):
        run("fourier_released", out=tmp_path)
    with pytest.raises(ValueError, match="has no presets, got 'cpu'"):
        run("fourier_released", "cpu", folder="sheets")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dopin", "smoke"), "no experiment 'dopin'; did you mean 'doping'[?] There are dag, dop"),
        (("doping", "smok"), "no preset of doping 'smok'; did you mean 'smoke'[?] There are smoke"),
        (("doping",), "doping needs a preset: smoke, cpu, paper"),
    ],
)
def test_names_that_are_not_there_are_answered_with_those_that_are(arguments, said):
    with pytest.raises(ValueError, match=said):
        run(*arguments)


def test_a_folder_that_cannot_be_is_refused_by_the_argument_s_name(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ValueError, match="^out .*file: it is no folder"):
        run("doping", "smoke", out=tmp_path / "file")


def test_a_process_that_reads_the_script_again_is_told_what_to_write(monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(RuntimeError, match='below `if __name__ == "__main__":`'):
        run("doping", "smoke")


@pytest.fixture(params=["clone", "installed"])
def importable(request, tmp_path):
    """A folder from which the package is imported."""
    if request.param == "clone":
        return ROOT
    pytest.importorskip("setuptools")
    build = [sys.executable, "-W", "ignore", "setup.py", "-q", "build_py", "--build-lib"]
    subprocess.run([*build, tmp_path / "site"], cwd=ROOT, capture_output=True, check=True)
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["gan_forensics"]
    return tmp_path / "site"


def test_modules_have_one_name_and_a_package_of_the_user_s_is_not_touched(importable, tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").write_text("own = True\n")
    script = (
        "import sys, experiments\n"
        "from pathlib import Path\n"
        "assert experiments.own\n"
        "from importlib.util import find_spec\n"
        "spec = find_spec('gan_forensics.experiments.doping')\n"
        "assert Path(spec.origin).with_name('astronaut_landmarks.csv').exists()\n"
        "assert not [name for name in sys.modules if name.startswith('experiments.')]\n"
        "print(spec.origin)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{importable}"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(str(importable))


def test_no_script_imports_another_by_the_name_that_commands_have():
    for path in (*(ROOT / "experiments").glob("*.py"), *(ROOT / "tests").glob("*.py")):
        lines = path.read_text().splitlines()
        assert not [s for s in lines if s.lstrip().startswith(("from experiments", "import exper"))]


# --- settings ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A part."""

    seeds: tuple[int, ...] = (0, 1)
    rate: float = 0.1
    law: Literal["normal", "uniform"] = "normal"


@dataclass(frozen=True)
class Whole:
    """An experiment."""

    out: Path = Path("runs")
    part: Part = Part()
    most: int | None = None
    flag: bool = False
    size: tuple[int, int] = (1, 2)
    edges: tuple[str | tuple[str, float], ...] = ("data",)
    name: str = "x"
    more: Any = None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"out": "a"}, Whole(Path("a"))),
        ({"part.seeds": [3]}, Whole(part=Part((3,)))),
        ({"part.seeds": np.arange(2), "part.rate": 1}, Whole(part=Part((0, 1), 1.0))),
        ({"part": {"law": "uniform", "rate": 2}}, Whole(part=Part(rate=2.0, law="uniform"))),
        ({"part": Part((9,)), "part.rate": 3}, Whole(part=Part((9,), 3.0))),
        ({"most": 3, "flag": True}, Whole(most=3, flag=True)),
        ({"size": (3, 4)}, Whole(size=(3, 4))),
        ({"edges": ["data", ["shell", 2]]}, Whole(edges=("data", ("shell", 2.0)))),
        ({"more": [1]}, Whole(more=[1])),
    ],
)
def test_settings_are_changed_and_fit_their_fields(changes, expected):
    assert overridden(Whole(), changes) == expected


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": (1,)}, "^no setting 'seeds'; did you mean 'part.seeds'[?]$"),
        ({"part.seed": 1}, "^no setting 'part.seed'; did you mean 'part.seeds'[?]$"),
        ({"part": {"sedes": 1}}, "^no setting 'part.sedes'; did you mean 'part.seeds'[?]$"),
        ({"part.seeds.x": 1}, "^no setting 'part.seeds.x'"),
        ({"zzz": 1}, "^no setting 'zzz'; there are out, part.seeds, part.rate, part.law, most"),
        ({"part.seeds": 3}, r"^part.seeds is tuple\[int, ...\], such as \(0, 1\); got 3$"),
        ({"part.seeds": "12"}, r"^part.seeds is tuple\[int, ...\]"),
        ({"part.seeds": (0.5,)}, r"got \(0.5,\)$"),
        ({"part.rate": "x"}, "^part.rate is float, such as 0.1; got 'x'$"),
        ({"part.rate": True}, "^part.rate is float"),
        ({"part.law": "other"}, r"^part.law is Literal\['normal', 'uniform'\], such as 'normal'"),
        ({"part": 3}, "^part is Part"),
        ({"most": 1.5}, "^most is int | None"),
        ({"most": True}, "^most is int | None"),
        ({"size": (1, True)}, r"^size is tuple\[int, int\]"),
        ({"flag": 1}, "^flag is bool"),
        ({"size": (1, 2, 3)}, r"^size is tuple\[int, int\]"),
        ({"name": 3}, "^name is str"),
        ({"out": 3}, "^out is Path"),
    ],
)
def test_settings_that_are_not_there_or_do_not_fit_are_named(changes, said):
    with pytest.raises(ValueError, match=said):
        overridden(Whole(), changes)
