"""Changes of the inspector's page that tests must notice; see `mutations.py`."""

from tests.mutations import Mutation

INSPECTOR = "gan_forensics/inspector/"
GATE, JOBS, SERVER = f"{INSPECTOR}gate.py", f"{INSPECTOR}jobs.py", f"{INSPECTOR}server.py"
RECORD, RENDERING, PATHS = (f"{INSPECTOR}{n}.py" for n in ("inspection", "rendering", "paths"))
SCRIPT, LOOKS = f"{INSPECTOR}pages/inspector.js", f"{INSPECTOR}pages/inspector.css"
TESTS, BROWSER = "tests/test_inspector_server.py", "tests/test_inspector_browser.py -k"

VIEWS, BANDS = "tests/test_inspector_views.py", "tests/test_forensics_spectrum_bands.py"
FORENSICS = "gan_forensics/forensics/"
LOOK, OF_TILES = (f"{FORENSICS}{n}.py" for n in ("photograph_relevance", "spectrum_bands"))
STAGES = {n: f"{INSPECTOR}stages_{n}.py" for n in ("attribution", "relevance", "verdict", "views")}

TWO_HALVES = f"{FORENSICS}cross_fitting.py", "tests/test_forensics_recalibration.py"
VERDICT = STAGES["verdict"], "tests/test_inspector_verdict.py"
REPORT = f"{INSPECTOR}report.py", "tests/test_cli_inspect.py"
DRAWN = "gan_forensics/report/spectrum_bands.py", VIEWS
CHANGES = [
    (TWO_HALVES, "{tier: made[tier][half]}", "{tier: made[tier][1 - half]}"),
    (TWO_HALVES, "half_of = dict(known or {})", "half_of = {}"),
    (TWO_HALVES, "if min(of.votes for of in setting)", "if max(of.votes for of in setting)"),
    (TWO_HALVES, "measured_rate(of, group) for", "measured_rate(of) for"),
    (VERDICT, '"high": round(rate.high, _DIGITS)', '"high": round(rate.rate, _DIGITS)'),
    (VERDICT, "false_alarms_of(tier, size)", "false_alarms_of('clean', size)"),
    (VERDICT, "last = records[-1]", "last = records[0]"),
    (VERDICT, "start + length // 2 - side // 2", "start + length - side // 2"),
    (REPORT, "served=False, private=private,", "served=False, private=True,"),
    (REPORT, "report_json(known, tools, private=private)", "report_json(known, tools, private=1)"),
    (DRAWN, "axes.axvline(AXIS_NYQUIST,", "axes.axvline(0.45,"),
    (DRAWN, "drawable(band.low),", "drawable(band.mean),"),
    ((SERVER, TESTS), '("127.0.0.1", port)', '("0.0.0.0", port)'),
    ((SERVER, TESTS), "server_header=False", "server_header=True"),
    ((LOOK, VIEWS), "one.score if generated else -one.score", "one.score"),
]

MUTATIONS = [
    Mutation(OF_TILES, "kept = gray[~flat(gray)]", "kept = gray", BANDS),
    Mutation(OF_TILES, "if quality >= low", "if quality > low", BANDS),
    Mutation(OF_TILES, "if len(some) >= FEWEST", "if some", BANDS),
    Mutation(OF_TILES, "if (deviation < 0).any() or (low > high).any():", "if False:", BANDS),
    Mutation(OF_TILES, "if not (np.abs(curves) <= _LARGEST).all():", "if False:", BANDS),
    Mutation(OF_TILES, "if type(images) is not int or images < FEWEST:", "if False:", BANDS),
    Mutation(OF_TILES, "if (band.codec, band.size) == kind", "if band.codec == kind[0]", BANDS),
    Mutation(
        "gan_forensics/cli/spectrum.py",
        "SpectrumScorer(self.normalise, self.resize, self.tile)",
        'SpectrumScorer("none", self.resize, self.tile)',
        BANDS,
    ),
    Mutation(
        LOOK, "explain(detector, _filled(parts, _AT_ONCE))", "explain(detector, parts)", VIEWS
    ),
    Mutation(LOOK, "row = 0 if generated else 1", "row = 1", VIEWS),
    Mutation(LOOK, "at, parts = at[told], parts[told]", "at, parts = at, parts", VIEWS),
    Mutation(STAGES["views"], " or opened.pasted", "", VIEWS),
    Mutation(STAGES["views"], "(curve > band.high)", "(curve > band.mean)", VIEWS),
    Mutation(STAGES["attribution"], "n < 1 or type(share) is not float or", "", VIEWS),
    Mutation(STAGES["attribution"], "reverse=True", "reverse=False", VIEWS),
    Mutation(
        STAGES["relevance"],
        "name, detector = networks[0]",
        "name, detector = networks[-1]",
        VIEWS,
    ),
    Mutation(GATE, 'if headers.getlist("host") not in', "if headers.getlist('host') in", TESTS),
    Mutation(GATE, 'f"127.0.0.1:{port}", f"localhost', 'f"127.0.0.1", f"localhost', TESTS),
    Mutation(GATE, 'if changes and headers.getlist("origin") !=', "if 0 and changes !=", TESTS),
    Mutation(GATE, "if not first and not {", "if 0 and not {", TESTS),
    Mutation(GATE, '{"same-origin"} if changes', '{"same-origin", "none"} if changes', TESTS),
    Mutation(GATE, '{"same-origin", "none"}', '{"same-origin", "none", "same-site"}', TESTS),
    Mutation(GATE, "            self._token = None\n", "", TESTS),
    Mutation(GATE, "httponly=True", "httponly=False", TESTS),
    Mutation(GATE, 'samesite="strict"', 'samesite="lax"', TESTS),
    Mutation(GATE, "if self._knows(headers):", "if True:", TESTS),
    Mutation(GATE, 'return RedirectResponse("/", 303) if first', "return None if first", TESTS),
    Mutation(GATE, "{**message, ", "message or {**message, ", TESTS),
    Mutation(GATE, '"Cross-Origin-Opener-Policy": "same-origin"', '"X": "same-origin"', TESTS),
    Mutation(SERVER, "if size > most:", "if False:", TESTS),
    Mutation(SERVER, 'if _number(request.headers.get("content-length")) > most:', "if 0:", TESTS),
    Mutation(SERVER, '.get("x-pasted") == "1"', '.get("x-pasted") == ""', TESTS),
    Mutation(SERVER, "[:MOST_NAME]", "[:10**6]", TESTS),
    Mutation(
        SERVER,
        "while self.jobs.full():\n                await",
        "while False:\n                await",
        TESTS,
    ),
    Mutation(SERVER, 'if changed["all"] > since:', "if True:", TESTS),
    Mutation(SERVER, "if at > since}", "if at}", TESTS),
    Mutation(SERVER, "named = named[:most]", "named = named[:]", TESTS),
    Mutation(
        SERVER, 'query_params.get("private") == "1"', 'query_params.get("private") != "1"', TESTS
    ),
    Mutation(SERVER, "; frame-ancestors 'none'", "", TESTS),
    Mutation(
        JOBS, "_REGION, _FIRST, _LATER = range(3)", "_FIRST, _REGION, _LATER = range(3)", TESTS
    ),
    Mutation(
        JOBS, "_REGION, _FIRST, _LATER = range(3)", "_REGION, _FIRST, _LATER = 0, 1, 1", TESTS
    ),
    Mutation(JOBS, "len(self._held) > self.limits.images", "False", TESTS),
    Mutation(JOBS, "> self.limits.content\n", "> 2**60\n", TESTS),
    Mutation(
        JOBS,
        "return len(self.content) + sum(map(len, pictures))",
        "return len(self.content)",
        TESTS,
    ),
    Mutation(JOBS, "deque(maxlen=limits.notices)", "deque()", TESTS),
    Mutation(JOBS, "if last is None or last[0] != number:", "if True:", TESTS),
    Mutation(
        JOBS, "getattr(held.inspection, name).copy()", "getattr(held.inspection, name)", TESTS
    ),
    Mutation(
        RECORD,
        "        except Exception as error:\n            inspection.err",
        "        except OSError as error:\n            inspection.err",
        TESTS,
    ),
    Mutation(RENDERING, "if private else {}", "", f"{BROWSER} reports"),
    Mutation(PATHS, "    if left_out:\n", "    if False:\n", TESTS),
    Mutation(SCRIPT, "if (layer) layer.style", "if (0) layer.style", f"{BROWSER} slider"),
    Mutation(SCRIPT, "], true);", "], false);", f"{BROWSER} pasted"),
    Mutation(SCRIPT, "  }, true);", "  }, false);", f"{BROWSER} region"),
    Mutation(SCRIPT, "if (file.size > most)", "if (0)", f"{BROWSER} large"),
    Mutation(SCRIPT, "left = clamp(left, 0, across - width);", "", f"{BROWSER} keyboard"),
    Mutation(SCRIPT, "event.shiftKey ?", "0 ?", f"{BROWSER} keyboard"),
    Mutation(
        SCRIPT, 'link.search = event.target.checked ? "?private=1" : "";', "", f"{BROWSER} reports"
    ),
    Mutation(
        LOOKS,
        "\n:focus-visible { outline: 3px solid",
        "\n:focus-visible { outline: 0 none",
        f"{BROWSER} reached",
    ),
    Mutation(LOOKS, "--soft: #555b66", "--soft: #b5bbc6", f"{BROWSER} accessible"),
    Mutation(LOOKS, "--paper: #111216", "--paper: #f5f6f8", f"{BROWSER} accessible"),
    *(Mutation(file, old, new, tests) for (file, tests), old, new in CHANGES),
]
