# ruff: noqa: E501
"""What is opened of files of strangers, HEIC, and what is found of a picture's history."""

from tests.mutations import Mutation

DATA, FORENSICS, INSPECTOR = (
    "gan_forensics/data/",
    "gan_forensics/forensics/",
    "gan_forensics/inspector/",
)
HEIC = f"{DATA}heic.py", "tests/test_data_heic.py"
BUDGET = f"{DATA}budget.py", "tests/test_data_heic.py tests/test_inspector_opening.py"
DECODING = (
    f"{DATA}decoding.py",
    "tests/test_data_heic.py tests/test_inspector_opening.py tests/test_data_decoding.py",
)
LOOKING = f"{DATA}looking.py", "tests/test_inspector_opening.py"
OPENING = f"{INSPECTOR}opening.py", "tests/test_inspector_opening.py"
TABLES = f"{DATA}jpeg_tables.py", "tests/test_forensics_jpeg_history.py"
QUALITY = f"{DATA}jpeg_quality.py", "tests/test_forensics_jpeg_history.py"
HISTORY = f"{FORENSICS}jpeg_history.py", "tests/test_forensics_jpeg_history.py"
RESAMPLING = f"{FORENSICS}resampling.py", "tests/test_forensics_resampling.py"
AIDS = f"{FORENSICS}visual_aids.py", "tests/test_inspector_file.py"
STAGE = f"{INSPECTOR}stages_file.py", "tests/test_inspector_file.py"
PAGE = f"{INSPECTOR}pages/file.html", "tests/test_inspector_file.py"

CHANGES = [
    (HEIC, 'if b"moov" in top:', "if False:"),
    (HEIC, "or depth > _MOST_DEPTH", ""),
    (HEIC, 'if kind == b"dimg":', 'if kind == b"thmb":'),
    (HEIC, "made_of.setdefault(other, []).append(item)", "pass"),
    (HEIC, "raise ValueError(\"its sizes\")", "return"),
    (BUDGET, "total > MOST_PARTS * _most_pixels(kind)", "False"),
    (BUDGET, "    for width, height in sizes:\n        check_pixels(width, height, kind)\n", ""),
    (BUDGET, "if pictures > 1 and several:", "if pictures > 2 and several:"),
    (BUDGET, "if told else MOST_OF_PHOTOGRAPH", "if False else MOST_OF_PHOTOGRAPH"),
    (DECODING, 'if image.format in ("TIFF", "HEIF"):', 'if image.format == "TIFF":'),
    (DECODING, '_PRIMARY = ("MPO", "HEIF")', '_PRIMARY = ("MPO",)'),
    (DECODING, 'if bits_of(image) > 8:', 'if ";16" in image.mode or image.mode in ("I", "F"):'),
    (DECODING, 'most = jpeg_pixels if kind == "JPEG" else None', "most = jpeg_pixels"),
    (LOOKING, "if only_scan(io.BytesIO(content), content) is None:", "if False:"),
    (LOOKING, "np.ascontiguousarray(turned(picture))", "np.ascontiguousarray(picture)"),
    (LOOKING, "below * (1 - share)", "below * share"),
    (LOOKING, "(levels - lowest) / max", "levels / max"),
    (LOOKING, "return Look(header_of(image), bits, frames if several else 1, alpha)", "return Look(header_of(image), bits, frames, alpha)"),
    (OPENING, "    with _LARGE:\n", "    if True:\n"),
    (OPENING, "if needed > free:", "if needed >= free:"),
    (OPENING, 'removeprefix(f"{called}: ")', 'strip()'),
    (OPENING, '"primary" if header.container == "HEIC" else "first"', '"first"'),
    (TABLES, 'image.draft("L", image.size)', "None"),
    (TABLES, "if mark == marker and content.startswith(begin, start, end)", "if mark == marker"),
    (TABLES, "found[\"comment\"] = None", "pass"),
    (QUALITY, "[18, 21, 26, 66]", "[18, 21, 26, 67]"),
    (HISTORY, "there, moved = blocks(part), blocks(part[4:, 4:])", "there, moved = blocks(part), blocks(part)"),
    (HISTORY, "int(np.argmin(by_quality)) + 1", "int(np.argmin(by_quality))"),
    (HISTORY, "return self.score > DOUBLE", "return self.score > -1"),
    (HISTORY, "    if is_drawn(part):\n        return None\n    steps", "    steps"),
    (HISTORY, "if len(found) < _FEWEST_FREQUENCIES:", "if not found:"),
    (HISTORY, "nothing.argmax()", "nothing.argmin()"),
    (HISTORY, "total / number > FIT", "True"),
    (HISTORY, "(n - side) // 2) // 8 * 8", "(n - side) // 2)"),
    (RESAMPLING, "np.where((frequency > _LOWEST) & (away > _BESIDE / len(rest)), ratio, 0)", "np.where(frequency > _LOWEST, ratio, 0)"),
    (RESAMPLING, "np.minimum(across, down)", "np.maximum(across, down)"),
    (RESAMPLING, "for f in (frequency, 1 - frequency)", "for f in (frequency,)"),
    (RESAMPLING, "if side < LEAST or is_drawn(part):", "if is_drawn(part):"),
    (RESAMPLING, "np.diff(each, 2)", "np.diff(each, 1)"),
    (AIDS, "first = max(0, start - _REACH)", "first = start"),
    (AIDS, "pixels = next(counts)[:, None] * next(counts)[None]", "pixels = np.full((1, 1), factor**2)"),
    (AIDS, '"JPEG", quality=QUALITY)', '"JPEG", quality=QUALITY + 1)'),
    (STAGE, "if kind in _PLAIN:", "if kind != 'JPEG':"),
    (STAGE, 'if opened.header and opened.header.container == "JPEG":', "if opened.header:"),
    (STAGE, "exif.private, pictures", "{}, pictures"),
    (PAGE, "{% if facts.pasted %}", "{% if false %}"),
]  # fmt: skip
MUTATIONS = [Mutation(file, old, new, tests) for (file, tests), old, new in CHANGES]
