# ruff: noqa: E501  # texts as they stand in the files
"""Mutations of shards: inputs, archives, tries, tables, and what is made of all of them."""

from tests.mutations import Mutation

D, F = "gan_forensics/data", "gan_forensics/forensics"
INPUTS, STREAM = "tests/test_data_input_shards.py", "tests/test_forensics_score_stream.py"
COMMANDS = "tests/test_cli_shards.py"

CHANGES = [
    (f"{D}/input_shards.py", "if whole in seen or whole in known:", "if whole in seen:", INPUTS),
    (f"{D}/input_shards.py", "if made != given:", "if False:", INPUTS),
    (f"{D}/input_shards.py", '"" if mendable else reason', '""', INPUTS),
    (f"{D}/packed.py", "if hash(key) in keys:", "if False:", INPUTS),
    (f"{D}/packed.py", "if hash(name) in names:", "if False:", INPUTS),
    (f"{D}/packed.py", 'or ".." in parts', "", INPUTS),
    (f"{D}/packed.py", "if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):", "if False:", INPUTS),
    (f"{D}/packed.py", "and self.size > MOST_TAR_HEADER", "and False", INPUTS),
    (f"{D}/packed.py", "if info.file_size > max(ALWAYS, MOST_RATIO * info.compress_size):", "if False:", INPUTS),
    (f"{D}/packed.py", "left -= info.file_size", "pass", INPUTS),
    (f"{D}/packed.py", "if left < 0:", "if False:", INPUTS),
    (f"{D}/packed.py", "if (why := why_not(start, name)) and not is_named_as_image(name):", "if why := why_not(start, name):", INPUTS),
    (f"{F}/attempts.py", 'attempt.write({"ended": 1})', "pass", STREAM),
    (f"{F}/attempts.py", "deaths.update(at)", "pass", STREAM),
    (f"{F}/score_stream.py", "if watch and watch.deaths(place) > 1:", "if watch and watch.deaths(place) > 2:", STREAM),
    (f"{F}/score_stream.py", "(suspected or alone or len(some) == AT_ONCE)", "(suspected or len(some) == AT_ONCE)", STREAM),
    (f"{F}/score_stream.py", "some = bool(bad) and ARCHIVE not in bad.values()", "some = bool(bad)", STREAM),
    (f"{F}/score_stream.py", "yield next(rows) if place in bad else old", "yield old", STREAM),
    (f"{F}/shard_results.py", "if known.get(name) != json.loads(json.dumps(identity.get(name))):", "if False:", STREAM),
    (f"{F}/shard_results.py", 'facts.get("input_bytes", "") == _size(shard)', "True", STREAM),
    (f"{F}/shard_results.py", "return is_gone(shard) or", "return", STREAM),
    (f"{F}/score_stream.py", "done and again and not is_gone(shard)", "done and again", STREAM),
    (f"{F}/shard_merge.py", "if name in seen:", "if False:", STREAM),
    (f"{F}/shard_merge.py", "if loose and (lacking := list(wanted)):", "if False:", STREAM),
    (f"{F}/shard_merge.py", "if alien := sorted(there - names):", "if False:", STREAM),
    (f"{F}/shard_merge.py", "if missing:", "if False:", COMMANDS),
    (f"{F}/spectrum_scorer.py", "each.shape != first.shape", "False", COMMANDS),
    ("gan_forensics/cli/sharding.py", "_check_no_input(self.merge, inputs, out)", "pass", COMMANDS),
    ("gan_forensics/cli/sharding.py", "chain(inputs, files)", "inputs", COMMANDS),
    ("gan_forensics/cli/sharding.py", "if (shards - 1) % count != place:", "if False:", COMMANDS),
    ("gan_forensics/cli/sharding.py", "again=self.retry_failed, seconds=self.time_limit", "again=False, seconds=self.time_limit", COMMANDS),
    ("gan_forensics/files/writer.py", "os.link(partial, path)", "os.replace(partial, path)", "tests/test_files_writer.py -k first_one"),
]  # fmt: skip

MUTATIONS = [Mutation(*change) for change in CHANGES]
