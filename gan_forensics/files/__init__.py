"""Files and names in and out: what a stranger sends runs, overwrites, hangs and floods nothing.

Everything is written by `writer` and `tables`, read within limits by `reader` and `archives`, and
shown by `shown` and `terminal`; pictures come in by `gan_forensics.data.decoding`. Imports nothing
of ours.
"""

from gan_forensics.files.numbers import is_missing, number, whole_number
from gan_forensics.files.paths import (
    check_file_in,
    check_file_out,
    check_folder_out,
    in_words,
    is_stream,
    refuse_remote,
)
from gan_forensics.files.plain import plain_path
from gan_forensics.files.private import private_folder, refuse_links
from gan_forensics.files.reader import (
    gunzip,
    gunzip_start,
    open_regular,
    parse_json,
    read_bytes,
    read_json,
    sha256_of,
    unpacked,
)
from gan_forensics.files.showing import escaped, file_stem, listed, natural_order, shown
from gan_forensics.files.tables import Csv, read_csv, rows_kept, write_csv
from gan_forensics.files.terminal import say, tell
from gan_forensics.files.writer import (
    names_it,
    no_link,
    write_json,
    write_text,
    written_beside,
    written_once,
)

__all__ = [
    "check_file_in",
    "check_file_out",
    "check_folder_out",
    "Csv",
    "escaped",
    "file_stem",
    "gunzip",
    "gunzip_start",
    "in_words",
    "is_missing",
    "is_stream",
    "listed",
    "names_it",
    "natural_order",
    "no_link",
    "number",
    "open_regular",
    "parse_json",
    "plain_path",
    "private_folder",
    "read_bytes",
    "read_csv",
    "read_json",
    "refuse_links",
    "refuse_remote",
    "rows_kept",
    "say",
    "sha256_of",
    "shown",
    "tell",
    "unpacked",
    "whole_number",
    "write_csv",
    "write_json",
    "write_text",
    "written_beside",
    "written_once",
]
