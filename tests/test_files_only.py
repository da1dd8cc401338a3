"""What reads files of others stands in the named places alone."""

import re
from pathlib import Path

import pytest

import gan_forensics

PACKAGE = Path(gan_forensics.__file__).parent
# What is looked for, and the files that may have it; all others go through `gan_forensics.files`.
PLACES = {
    # The images that a study has drawn itself, read from the disk as they are needed.
    r"np\.load\(": {"studies/bypass.py"},
    r"np\.(fromfile|loadtxt|genfromtxt)\(": set(),
    r"import gzip|gzip\.(open|decompress|GzipFile)": set(),
    r"zlib\.decompress": {"files/reader.py", "files/matlab.py", "data/png_chunks.py"},
    r"zipfile\.ZipFile\(": {"files/archives.py"},
    r"tarfile\.open\(": {"data/catalogues.py", "data/packed.py"},
    r"ParquetFile\(|pyarrow\.parquet": {"files/parquet.py"},
    r"\bloadmat\(": set(),
    r"import pickle\b|pickle\.loads?\(|cloudpickle|joblib\.load|allow_pickle=True": set(),
    r"torch\.load\(": {"nn/torch_files.py"},
    r"safetensors\.numpy\.load|safe_open": {"nn/weight_files.py"},
    # `json.loads(json.dumps(...))` is of our own values.
    r"json\.loads?\((?!json\.dumps)": {"files/reader.py"},
    r"(?<!\.)\beval\(|(?<!\.)\bexec\(|yaml\.": set(),
}


@pytest.mark.parametrize("pattern", PLACES)
def test_readers_stand_in_the_named_places_alone(pattern):
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(pattern, path.read_text(encoding="utf-8"))
    }
    assert found <= PLACES[pattern]
