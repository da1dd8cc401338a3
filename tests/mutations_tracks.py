"""Changes of tracks, their folders, overlay and page that tests must notice; see `mutations.py`."""

from tests.mutations import Mutation

FACES, REPORT = "gan_forensics/faces/", "gan_forensics/report/"
DRAW, DRAW_TESTS = f"{FACES}draw.py", "tests/test_faces_draw.py"
OVERLAY, OVERLAY_TESTS = f"{FACES}overlay.py", "tests/test_faces_overlay.py"
ROWS, RUNS, FOLLOW = f"{FACES}rows.py", f"{FACES}runs.py", f"{FACES}follow.py"
RUN_TESTS = "tests/test_faces_runs.py"
INITIAL, INITIAL_TESTS = f"{FACES}initial.py", "tests/test_faces_initial.py"
PAGE, PAGE_TESTS = f"{REPORT}tracking.py", "tests/test_report_tracking.py"
HTML, HTML_TESTS = f"{REPORT}html.py", "tests/test_report_html.py"
COMMAND, COMMAND_TESTS = "gan_forensics/cli/track.py", "tests/test_cli_track.py"

MUTATIONS = [
    Mutation(DRAW, "aside[:, 0] < 0", "aside[:, 0] > 0", DRAW_TESTS),
    Mutation(DRAW, "faces[owners].any(1)", "faces[owners].all(1)", DRAW_TESTS),
    Mutation(DRAW, "+ 0.5) * self.zoom - 0.5", ") * self.zoom", DRAW_TESTS),
    Mutation(DRAW, "width + width % 2", "width", DRAW_TESTS),
    Mutation(DRAW, "fill=_LOST if lost and number else _INK", "fill=_INK", DRAW_TESTS),
    Mutation(DRAW, "if lost:\n", "if False:\n", DRAW_TESTS),
    Mutation(DRAW, "zip(ends, AXES.values()", "zip(ends[::-1], AXES.values()", DRAW_TESTS),
    Mutation(OVERLAY, "self.shape, animation)", "self.shape, 0 * animation)", OVERLAY_TESTS),
    Mutation(OVERLAY, "camera(self.camera,", 'camera("weak-perspective",', OVERLAY_TESTS),
    Mutation(OVERLAY, "/ clip.every, 240.0)", ", 240.0)", OVERLAY_TESTS),
    Mutation(OVERLAY, "if frame.index not in rows:", "if False:", OVERLAY_TESTS),
    Mutation(OVERLAY, "(*chosen, int(np.argmax(energy)))", "chosen", OVERLAY_TESTS),
    Mutation(ROWS, '{"yaw": 1, "pitch": 0,', '{"yaw": 0, "pitch": 1,', RUN_TESTS),
    Mutation(ROWS, "np.median(values[accepted])", "np.median(values)", RUN_TESTS),
    Mutation(ROWS, "inflation * table[raw]", "table[raw]", RUN_TESTS),
    Mutation(ROWS, "if lines and not read.whole:", "if False:", RUN_TESTS),
    Mutation(
        "gan_forensics/files/tables.py", "if len(cells) != len(names):", "if False:", RUN_TESTS
    ),
    Mutation(ROWS, '("pitch", "yaw", "roll")]', '("yaw", "pitch", "roll")]', RUN_TESTS),
    Mutation(ROWS, "if len({*names, *taken}) <", "if 0 and len({*names, *taken}) <", RUN_TESTS),
    Mutation(RUNS, "file.truncate(keep)", "pass", RUN_TESTS),
    Mutation(RUNS, "file.flush()", "pass", RUN_TESTS),
    Mutation(RUNS, "if (run / RESULTS).exists():", "if False:", RUN_TESTS),
    Mutation(RUNS, "if goes_on is None or not source.whole:", "if True:", RUN_TESTS),
    Mutation(RUNS, '"next": frame.index + clip.every', '"next": frame.index + 1', RUN_TESTS),
    Mutation(RUNS, "if face.tracker is None:  #", "if False:  #", RUN_TESTS),
    Mutation(RUNS, '0 < int(header["bytes"]) <= there', '0 < int(header["bytes"])', RUN_TESTS),
    Mutation(RUNS, "float(v) if np.isfinite(v) else None", "float(v)", RUN_TESTS),
    Mutation(
        RUNS, "            pass\n        return source", "            return source", RUN_TESTS
    ),
    Mutation(RUNS, '"sha256": _digest(path)', '"sha256": ""', RUN_TESTS),
    Mutation(FOLLOW, ".restore(arrays)", "", RUN_TESTS),
    Mutation(FOLLOW, "self.lost_for % LOOK_AGAIN_EVERY == 0", "False", RUN_TESTS),
    Mutation(FOLLOW, '_SAVED = ("init", "lost_for", ', '_SAVED = ("init", ', RUN_TESTS),
    Mutation(FOLLOW, "if self.looked >= LOOK_FOR:", "if False:", RUN_TESTS),
    Mutation(FOLLOW, 'f"frame {frame.index}: {why}"', "why", RUN_TESTS),
    Mutation(FOLLOW, "str(error) if self.points is None", "str(error) if True", RUN_TESTS),
    Mutation(FOLLOW, "return tracker.first", "return tracker.track(gray)", RUN_TESTS),
    Mutation(INITIAL, "if inside.mean() < 0.5:", "if False:", INITIAL_TESTS),
    Mutation(INITIAL, "box, *others = boxes", "*others, box = boxes", INITIAL_TESTS),
    Mutation(INITIAL, "if detector is None:", "if True:", INITIAL_TESTS),
    Mutation(INITIAL, "if apart < CLOSEST_EYES:", "if False:", INITIAL_TESTS),
    Mutation(INITIAL, "np.cos(fit.pose[0]) * np.cos(fit.pose[1]) < 0", "False", INITIAL_TESTS),
    Mutation(INITIAL, "if aside < 0.3 * box.w and", "if", INITIAL_TESTS),
    Mutation(
        RUNS,
        'table["lost"] == 0, table["accepted"] > 0',
        'table["lost"] == 0, table["lost"] == 0',
        RUN_TESTS,
    ),
    Mutation(RUNS, "if resume and goes_on is None:", "if False:", RUN_TESTS),
    Mutation(FOLLOW, 'if facts["point_0_missing"]:', "if False:", RUN_TESTS),
    Mutation(PAGE, "np.where(held, track[name], np.nan)", "track[name]", PAGE_TESTS),
    Mutation(PAGE, "values[::step]", "values", PAGE_TESTS),
    Mutation(PAGE, '[0], track["lost"] > 0, [0]]', '[0], track["lost"] < 0, [0]]', PAGE_TESTS),
    Mutation(PAGE, 'if init == "box":', "if False:", PAGE_TESTS),
    Mutation(PAGE, "(value := gates[name]) is not None", "(value := gates[name] or 1)", PAGE_TESTS),
    Mutation(HTML, 'if data in (b"", b".", b"..") or', "if False and", HTML_TESTS),
    Mutation(
        f"{REPORT}report.html", "./{{ block.file | address }}", "{{ block.file }}", HTML_TESTS
    ),
    Mutation(COMMAND, "            video=self.video,\n", "", COMMAND_TESTS),
    Mutation(COMMAND, "resume=self.resume,", "", COMMAND_TESTS),
    Mutation(COMMAND, "self.start, self.end, self.every", "0, self.end, self.every", COMMAND_TESTS),
    Mutation(COMMAND, "TrackerConfig(**given)", "TrackerConfig()", COMMAND_TESTS),
]
