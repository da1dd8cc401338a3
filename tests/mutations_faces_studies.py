# ruff: noqa: E501  # texts as they stand in the files
"""Mutations of the face tracking study: metrics, clips, baselines, measures, choices."""

from tests.mutations import Mutation

STUDIES = "gan_forensics/studies/"
CLIP_TESTS = "tests/test_studies_face_clips.py"
STUDY_TESTS = "tests/test_experiments_face_tracking.py -k 'not small_run'"
METRICS = "gan_forensics/faces/metrics.py", "tests/test_faces_metrics.py"
HEAD = f"{STUDIES}face_head.py", CLIP_TESTS
RASTER = f"{STUDIES}face_raster.py", f"{CLIP_TESTS} -k renderer"
CLIPS = f"{STUDIES}face_clips.py", CLIP_TESTS
BASELINES = f"{STUDIES}face_baselines.py", STUDY_TESTS
MEASURES = f"{STUDIES}face_measures.py", STUDY_TESTS
STUDY = f"{STUDIES}face_tracking.py", STUDY_TESTS
REAL = f"{STUDIES}face_tracking_real.py", STUDY_TESTS
VERDICTS = f"{STUDIES}face_tracking_verdicts.py", STUDY_TESTS

CHANGES = [
    (METRICS, "estimated @ (estimated[0].T @ truth[0])", "(truth[0] @ estimated[0].T) @ estimated"),
    (METRICS, "(difference + 180) % 360 - 180", "difference"),
    (METRICS, "(some[:, 3] < below).sum() / len(errors)", "(some[:, 3] < below).mean()"),
    (METRICS, "difference = difference - difference[:1]", "difference = difference - difference.mean(0)"),
    (METRICS, "np.where(known, distance, 0).sum(1)", "np.nan_to_num(distance, nan=1.0).sum(1)"),
    (METRICS, "bad = ~(errors <= limit)", "bad = errors > limit"),
    (METRICS, "norm.ppf(0.5 + level / 2)).mean()", "norm.ppf(level)).mean()"),
    (METRICS, "np.sqrt(np.prod(factors))", "factors[0]"),
    (METRICS, 'for name in ("pitch", "yaw", "roll")\n            ]', 'for name in ("yaw", "pitch", "roll")\n            ]'),
    (METRICS, "first = int(np.argmax(usable))", "first = 0"),
    (METRICS, "if frame in found:", "if False:"),
    (HEAD, "opened = wireframe.vertices + PARTED * jaw", "opened = wireframe.vertices - 9 * PARTED * jaw"),
    (HEAD, "strangeness * rng.uniform(-0.3, 0.3", "0 * rng.uniform(-0.3, 0.3"),
    (HEAD, "np.radians(10) * strangeness", "np.radians(10) * 0"),
    (HEAD, "rows[ends].mean(1)", "rows[ends][:, 0]"),
    (HEAD, "if (b, a) not in both", "if (a, b) in both"),
    (RASTER, "chosen = nearest[hit]", "chosen = pixel.argsort()[: hit.sum()]"),
    (RASTER, "order = np.argsort((weight", "order = np.argsort(-(weight"),
    (RASTER, "return 1 - second - third, second, third", "return 1 - second - third, third, second"),
    (CLIPS, "x, y, z = (seen * (1, -1, -1) + place).T", "x, y, z = (seen * (1, -1, 1) + place).T"),
    (CLIPS, "follows * (still @ turn.T)", "follows * (still @ turn)"),
    (CLIPS, "return self.focal * np.stack([x, y], 1) / z[:, None] + self.centre, -z", "return self.focal * np.stack([x, y], 1) / z[:, None] + self.centre, z"),
    (CLIPS, "start=landmarks[0] +", "start=landmarks[0] + 0 *"),
    (CLIPS, "person, script, sensor = np.random.default_rng(seed).spawn(3)", "person, script, sensor = np.random.default_rng(0).spawn(3)"),
    (CLIPS, "np.radians(self.config.light) * light", "0 * light"),
    (CLIPS, "self.config.gamma * self.waves", "0 * self.waves"),
    (CLIPS, "np.nan_to_num(distance, nan=np.inf) < self._radius()", "np.nan_to_num(distance, nan=np.inf) < 2 * self._radius()"),
    (CLIPS, "(np.sin(angles + self.phases) - np.sin(self.phases))", "np.sin(angles + self.phases)"),
    (BASELINES, "if person is wireframe:", "if False:"),
    (BASELINES, "vertices + np.tensordot(fit.shape, wireframe.shape, 1)", "vertices - np.tensordot(fit.shape, wireframe.shape, 1)"),
    (BASELINES, "return ahead[kept], places[kept]", "return ahead[kept], places[: kept.sum()]"),
    (BASELINES, "angles = euler_angles(flip @ cv2", "angles = euler_angles(cv2"),
    (MEASURES, "metrics.frames_to_loss(normalised, LOST)", "metrics.frames_to_loss(absolute, LOST)"),
    (MEASURES, "track.lost[1:].mean()", "track.lost.mean()"),
    (MEASURES, "_mean(errors[covered[-1] + 1 :])", "_mean(errors[covered[0] :])"),
    (MEASURES, "track.deviations[1:, :, None]", "1.0"),
    (STUDY, 'return replace(tracker, **({**changed, "update": "none"} if rate == 0 else changed))', "return replace(tracker, **changed)"),
    (STUDY, "rate = min(errors,", "rate = max(errors,"),
    (STUDY, "if {*self.seeds} & {*self.choosing_seeds}:", "if False:"),
    (REAL, "known.append(points.get(frame.index, np.full((68, 2), np.nan)))", "known.append(points.get(frame.index, points[0]))"),
    (REAL, "if any(given) and not all(given):", "if False:"),
    (VERDICTS, "values(clips, scene, other, measure) - own", "own - values(clips, scene, other, measure)"),
]  # fmt: skip
MUTATIONS = [Mutation(file, old, new, tests) for (file, tests), old, new in CHANGES]
