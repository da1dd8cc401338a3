"""The face tracking study: baselines, measures, verdicts and pages, with a tracker that is none."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from gan_forensics.experiments import face_tracking
from gan_forensics.experiments.face_landmarks import detect as landmarks_command
from gan_forensics.experiments.face_pose_errors import compare as pose_command
from gan_forensics.experiments.face_tracking import PRESETS, Experiment, film, run
from gan_forensics.faces.camera import rotation
from gan_forensics.faces.candide import load_wireframe
from gan_forensics.faces.fit import fit_landmarks
from gan_forensics.faces.tracker_config import TrackerConfig
from gan_forensics.studies import face_baselines as baselines
from gan_forensics.studies import face_tracking as study
from gan_forensics.studies import face_tracking_real as real
from gan_forensics.studies import face_tracking_verdicts as verdicts
from gan_forensics.studies.face_clips import ClipConfig, make_clip
from gan_forensics.studies.face_measures import landmark_measures, measured
from tests.small_experiments import command

SMALL = ClipConfig(frames=8, width=180, height=144, face=80, period=20.0, compression="none")


@pytest.fixture(scope="module")
def wireframe():
    return load_wireframe()


@pytest.fixture(scope="module")
def clip(wireframe):
    photograph, points = face_tracking.person(None)
    config = replace(SMALL, activity=0.0, landmark_noise=0.0)
    return study_clip(config, wireframe, photograph, points)


def study_clip(config, wireframe, photograph, points, seed=0):
    return make_clip(config, wireframe, photograph, points, face_tracking.scenery(), seed=seed)


def true_track(clip, **changed):
    """What a tracker without errors says, or with those that are given."""
    track = {
        "rotation": clip.rotation, "landmarks": clip.landmarks, "seconds": 0.01,
        "animation": clip.animation, "deviations": np.ones(clip.landmarks.shape[:2]),
        "lost": np.zeros(len(clip.frames), bool),
    }  # fmt: skip
    return baselines.Track(**{**track, **changed})


def test_optical_flow_follows_a_rigid_head_and_holding_does_not(wireframe, clip):
    pytest.importorskip("cv2")
    frames = list(clip.frames)
    flow = measured(baselines.flow_and_pnp(frames, clip.start, wireframe), clip)
    fit = fit_landmarks(wireframe, clip.start, image_size=(180, 144))
    still = measured(baselines.held(frames, fit, wireframe), clip)
    assert flow["landmarks"] < 1.5
    assert flow["tracked"] == 1 and flow["relative"] < 1 and flow["geodesic"] < 2
    assert still["relative"] > 3 * flow["relative"]
    assert max(still["jitter_degrees"], still["jitter_px"]) < 1e-9


def test_corners_that_are_kept_keep_their_own_places(clip):
    pytest.importorskip("cv2")
    before = clip.frames[0]
    corners = np.array([[2.0, 2.0], [90.0, 72.0], [95.0, 60.0], [80.0, 80.0]], np.float32)
    blank = before.copy()
    blank[:20, :20] = np.random.default_rng(0).integers(0, 255, (20, 20))
    ahead, places = baselines._followed(before, blank, corners, np.arange(12.0).reshape(4, 3))
    # The first one is lost, and takes nothing from the others.
    assert_allclose(ahead, corners[1:], atol=0.1)
    assert_allclose(places, np.arange(12.0).reshape(4, 3)[1:])


def test_a_fit_of_each_frame_takes_its_shape_from_the_first_with_a_face(wireframe, clip):
    points = [None, *clip.landmarks[1:]]
    points[4] = None
    track = baselines.fitted_alone(list(clip.frames), wireframe, points)
    missing = np.isnan(track.rotation).any((1, 2))
    assert missing.tolist() == [k in (0, 4) for k in range(8)]
    assert np.isnan(track.landmarks[4]).all()
    error = landmark_measures(track, clip.landmarks)
    assert error["landmarks"] < 2.5
    # The person is that of the first frame with a face: its shape, and no other frame's, counts.
    fit = fit_landmarks(wireframe, points[1], image_size=(180, 144))
    person = replace(
        wireframe,
        vertices=baselines.fitted_vertices(wireframe, fit, np.zeros(len(fit.animation))),
        shape=wireframe.shape[:0],
        shape_names=(),
    )
    second = fit_landmarks(person, points[2], image_size=(180, 144))
    assert_allclose(track.rotation[2], rotation(*second.pose[:3]), atol=1e-6)
    assert_allclose(track.animation[2], second.animation, atol=1e-6)
    assert {*np.flatnonzero(~np.isnan(track.landmarks[1, :, 0]))} == {*wireframe.landmarks}


def test_measures_of_a_perfect_track_are_perfect_and_of_a_wrong_one_are_not(clip):
    perfect = measured(true_track(clip), clip)
    for name in ("landmarks", "relative", "normalised", "first", "last", "geodesic", "unaligned"):
        assert perfect[name] == pytest.approx(0, abs=1e-5), name
    assert perfect["lost_at"] == 8 and perfect["lost_share"] == 0 and perfect["units"] is None
    off = clip.landmarks + [3, 4]
    off[4:] += [30, 40]
    lost = np.arange(8) > 5
    wrong = measured(
        true_track(clip, landmarks=off, lost=lost, deviations=np.full((8, 68), 2)), clip
    )
    assert wrong["landmarks"] == pytest.approx((3 * 5 + 4 * 55) / 7)
    assert wrong["relative"] == pytest.approx(4 * 50 / 7)
    assert wrong["first"] == pytest.approx(5 + 0 * 50) and wrong["last"] == pytest.approx(55)
    # Five pixels are no loss of this face, and four frames in a row are too few.
    assert wrong["lost_at"] == 8
    assert wrong["lost_share"] == pytest.approx(2 / 7)
    assert_allclose([min(wrong["ratios"]), max(wrong["ratios"])], [1.5, 22])
    json.dumps(wrong, allow_nan=False)


def test_animation_is_compared_by_correlation_and_occlusions_by_their_frames(wireframe):
    photograph, points = face_tracking.person(None)
    config = replace(SMALL, frames=34, occluder=True, noise=0.0, blur=0.0)
    clip = study_clip(config, wireframe, photograph, points)
    found = measured(true_track(clip, animation=0.2 - 3 * clip.animation), clip)
    assert found["units"] == pytest.approx(-1)
    covered = np.flatnonzero(clip.hidden.sum(1) >= 8)
    moved = clip.landmarks.copy()
    moved[covered[-1] + 1 :] += [0, 6]
    found = measured(true_track(clip, landmarks=moved), clip)
    assert found["landmarks_hidden"] == pytest.approx(0) and found["landmarks_after"] == 6


def clips_of(errors):
    """Clips of one scene with the errors of each method by seed."""
    count = len(next(iter(errors.values())))
    return {
        "plain": {
            str(k): {
                name: {"landmarks": some[k], "geodesic": some[k]} for name, some in errors.items()
            }
            for k in range(count)
        }
    }


def test_verdicts_follow_the_interval_of_paired_differences(rng):
    base = rng.uniform(1, 9, 5)
    noise = 0.1 * rng.standard_normal(5)
    clips = clips_of(
        {study.FULL: base, study.NO_UPDATE: base + 1 + noise, study.NO_PRIOR: base - 1 + noise,
         study.ISOTROPIC: base + noise - noise.mean()}
    )  # fmt: skip
    said = [
        verdicts.verdict(verdicts.gain(clips, "plain", other, "landmarks"))
        for other in (study.NO_UPDATE, study.NO_PRIOR, study.ISOTROPIC)
    ]
    assert said == ["helps", "HARMS", "not shown"]
    one = clips_of({study.FULL: [1.0], study.NO_UPDATE: [2.0]})
    assert verdicts.settled(one, study.NO_UPDATE) == "one seed cannot tell (plain)"
    words = verdicts.finding(clips, {"rate": 0.02})
    assert "the prior: HARMS (plain)" in words and "at rate 0.02 (chosen on other clips)" in words


def test_the_rate_and_the_inflation_are_chosen_on_clips_of_other_seeds(monkeypatch, clip):
    tried = []

    def tracked(frames, fit, wireframe, config):
        tried.append((config.rate, config.update))
        off = {0.0: 3, 0.02: 1, 0.1: 2}[config.rate]
        noise = np.random.default_rng(0).standard_normal(clip.landmarks.shape)
        return true_track(clip, landmarks=clip.landmarks + off * noise)

    monkeypatch.setattr(study, "tracked", tracked)
    seeds = []
    found = study.choose(
        study.SyntheticConfig(), lambda name, seed: seeds.append(seed) or clip,
        load_wireframe(), TrackerConfig(),
    )  # fmt: skip
    assert seeds == [100, 101] and found["rate"] == 0.02
    assert tried[:3] == [(0.0, "none"), (0.02, "eigenvalues"), (0.1, "eigenvalues")]
    assert found["inflation"] == pytest.approx(1, abs=0.1)
    ratios = found["errors"]
    assert {*ratios} == {"0", "0.02", "0.1"} and len(ratios["0"]) == 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"scenes": ("plain", "rain")}, "unknown scenes rain; they are plain, light, occlusion"),
        ({"variants": ("best",)}, "unknown variants best; they are full method, no update"),
        ({"seeds": (0, 100)}, "have some in common"),
        ({"rates": ()}, "must each have one at least"),
    ],
)
def test_settings_that_cannot_be_are_refused(changed, said):
    with pytest.raises(ValueError, match=said):
        study.SyntheticConfig(**changed)


def test_variants_differ_from_the_full_method_in_what_they_are_named_for():
    full = TrackerConfig(rate=0.1)
    assert study.variant(study.FULL, TrackerConfig(), 0.1) == full
    assert study.variant(study.ISOTROPIC, TrackerConfig(), 0.1) == replace(
        full, covariance="isotropic"
    )
    assert study.variant(study.NO_PRIOR, TrackerConfig(), 0.1) == replace(full, prior=False)
    assert study.variant(study.KARHUNEN, TrackerConfig(), 0.1) == replace(full, update="full")
    for name, rate in ((study.NO_UPDATE, 0.1), (study.FULL, 0.0)):
        assert study.variant(name, TrackerConfig(), rate).update == "none"


def test_presets_hold_five_seeds_every_variant_and_clips_apart_for_choosing():
    cpu = PRESETS["cpu"][1].synthetic
    assert len(cpu.seeds) >= 5 and {*cpu.variants} == {*study.VARIANTS}
    assert {*cpu.scenes} == {*study.SCENES} and {*cpu.baselines} == {*study.BASELINES}
    assert PRESETS["paper"][1].tracker.views > 1000


def landmarks_file(path, points):
    rows = [",".join(real.COLUMNS)]
    for frame, places in points.items():
        rows.append(
            ",".join([str(frame), *("" if np.isnan(x) else f"{x:.3f}" for x in places.ravel())])
        )
    path.write_text("\n".join(rows) + "\n")
    return path


def test_landmarks_of_frames_come_back_from_their_file_and_others_are_refused(tmp_path, rng):
    points = {0: rng.uniform(0, 99, (68, 2)), 2: np.full((68, 2), np.nan)}
    path = landmarks_file(tmp_path / "points.csv", points)
    found = real.read_video_landmarks(path)
    assert {*found} == {0, 2} and np.isnan(found[2]).all()
    assert_allclose(found[0], points[0], atol=1e-3)
    path.write_text(path.read_text().replace("\n2,", "\nx,"))
    with pytest.raises(ValueError, match="line 3: give a whole number and 136 numbers"):
        real.read_video_landmarks(path)
    path.write_text("frame,x,y\n")
    with pytest.raises(ValueError, match="line 1: the columns must be frame,x0,y0"):
        real.read_video_landmarks(path)
    with pytest.raises(ValueError, match="a real clip needs four files"):
        real.RealConfig(talking_face=path)


def test_a_small_run_writes_results_and_a_page_with_what_was_skipped(tmp_path, monkeypatch):
    """The tracker says that frame 0 lasts, so that nothing compiles."""
    pytest.importorskip("cv2")

    def tracked(frames, fit, wireframe, config):
        still = baselines.held(frames, fit, wireframe)
        rough = np.full(still.landmarks.shape[:2], 2.0)
        return replace(still, deviations=rough, lost=np.zeros(len(frames), bool))

    monkeypatch.setattr(study, "tracked", tracked)
    monkeypatch.setattr(
        study, "SCENES", {name: replace(config, width=180, height=144, face=80)
                          for name, config in study.SCENES.items()},
    )  # fmt: skip
    synthetic = study.SyntheticConfig(
        scenes=("plain", "still"), variants=(study.FULL, study.NO_UPDATE), seeds=(0, 1),
        choosing_seeds=(9,), rates=(0.02,), frames=4,
    )  # fmt: skip
    asked = Experiment(tmp_path / "run", synthetic=synthetic)
    results = run(asked)
    stored = json.loads((tmp_path / "run" / "results.json").read_text())
    assert stored["finding"] == results["finding"] and "real clip was skipped" in results["finding"]
    assert "the update of mean and eigenvalues: not shown (plain)" in results["finding"]
    page = (tmp_path / "run" / "report.html").read_text()
    for words in ("Scene: plain", "Jitter on a still", "50 %, raw", "5 frames"):
        assert words in page
    assert "optical flow and PnP" in (tmp_path / "run" / "results.md").read_text()
    # Again: everything is there already.
    monkeypatch.setattr(study, "tracked", None)
    again = run(asked)
    assert again["clips"] == stored["clips"]
    assert film(asked, "plain", 1).frames.shape == (4, 144, 180)


def test_a_real_clip_is_measured_from_its_files(tmp_path, monkeypatch, clip, wireframe):
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (180, 144))
    for frame in clip.frames:
        writer.write(np.repeat(frame[..., None], 3, -1))
    writer.release()
    points = dict(enumerate(np.nan_to_num(clip.landmarks, nan=50.0)))
    del points[5]
    table = landmarks_file(tmp_path / "points.csv", points)
    read = real.read_clip(path, table, 7)
    assert len(read.frames) == 7 and np.isnan(read.landmarks[5]).all()
    assert np.abs(read.frames[3].astype(float) - clip.frames[3]).mean() < 4
    found = real.run_real(
        read,
        wireframe,
        TrackerConfig(),
        rate=0.02,
        methods=(study.HELD, study.FLOW, study.DETECTED),
    )
    assert found[study.FLOW]["relative"] < found[study.HELD]["relative"]
    assert found[study.DETECTED]["by_frame"][5] is None
    del points[0]
    with pytest.raises(ValueError, match="no landmarks of frame 0"):
        real.read_clip(path, landmarks_file(table, points), 7)


def test_pose_errors_are_printed_for_any_two_tables(tmp_path, capsys):
    for name, turn in (("truth", 1.0), ("track", 2.0)):
        rows = [f"{k},{turn * k},0,0" for k in range(5)]
        (tmp_path / f"{name}.csv").write_text("frame,yaw,pitch,roll\n" + "\n".join(rows) + "\n")
    asked = ["--truth", str(tmp_path / "truth.csv"), "--track", str(tmp_path / "track.csv")]
    pose_command(asked)
    said = capsys.readouterr().out
    assert "5 common frames (0 to 4), after alignment in frame 0" in said
    assert "| yaw | 2 |" in said and "positive yaw" in said
    with pytest.raises(SystemExit) as exit:
        pose_command([*asked[:3], str(tmp_path / "none.csv")])
    assert exit.value.code == 2 and "none.csv" in capsys.readouterr().err


def test_landmarks_of_a_video_need_a_detector_that_is_there(tmp_path, capsys):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(SystemExit) as exit:
        landmarks_command(
            [str(tmp_path / "a.png"), "--detector", str(tmp_path / "no.dat"), "--out",
             str(tmp_path / "out.csv")]
        )  # fmt: skip
    assert exit.value.code == 2 and "no.dat" in capsys.readouterr().err


@pytest.mark.slow
def test_smoke_runs_as_a_user_starts_it(tmp_path):
    said = command("face_tracking", "smoke", "--out", str(tmp_path / "run"))
    assert "Full method at rate" in said
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["clips"]["plain"]["0"]["full method"]["landmarks"] < 4
