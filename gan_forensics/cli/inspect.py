"""`gan-forensics inspect`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from gan_forensics.cli.checks import not_given, within
from gan_forensics.files import say, shown, tell

if TYPE_CHECKING:
    from gan_forensics.inspector.findings import Tools
    from gan_forensics.inspector.inspection import Inspection
    from gan_forensics.inspector.paths import Named


@dataclass(frozen=True)
class Inspect:
    """Open a page on this machine: drop images, and see what they say and what detectors say.

    Of each image: whether the file itself says that it was generated (signed content credentials,
    metadata, traces of generators), the verdict of each detector with its false-alarm rate, the
    spectrum beside those of photographs and generators, which generator, what the detector used,
    and facts of the file. Without a detector all but verdicts.

    Nothing leaves this machine: the page answers nobody else, images stay in memory, and addresses
    that a file names are not fetched.

    Try it:

    $ gan-forensics inspect

    $ gan-forensics inspect suspects --detector detector.npz

    $ gan-forensics inspect suspects --detector detector.npz --no-browser --out inspection
    """

    images: Positional[tuple[Path, ...]] = ()
    """Images, folders, and lists (.csv: a path in each line) that are opened from the start; more
    can be dropped onto the page."""
    detector: tuple[Path, ...] = ()
    """Files of `detect fit`, `train detector` or `detect recalibrate`. Several are shown side by
    side, never averaged. One that `detect recalibrate --tiles` calibrated on your own photographs
    takes photographs of any size."""
    weights: Path | None = None
    """The weights that `detect fit` was given for these detectors, where it was given any."""
    attributor: Path | None = None
    """A file of `attribute fit`, which ranks the generators that it knows."""
    bands: Path | None = None
    """bands.npz of `spectrum --tile`: the spectra to compare with."""
    trust: Path | None = None
    """Certificates (PEM) of those whose content credentials you trust; without it a valid signature
    is of an unknown issuer."""
    browser: bool = True
    """Open the page; --no-browser writes reports of IMAGES to --out instead."""
    out: Path = Path("inspection")
    """With --no-browser the folder for a page and a JSON of each image, index.html and index.json
    of all."""
    with_private: bool = False
    """With --no-browser: keep places, serial numbers, names of people and free texts
    in the reports."""
    follow_links: bool = False
    """Follow links that leave a folder."""
    port: int = 0
    """Of the page on this machine; by default a free one."""

    def __call__(self) -> None:
        """Run it."""
        within(-1, 2**16, port=self.port)
        if self.browser:
            reports = "the page writes reports when it is asked to; only --no-browser takes it"
            not_given(
                reports,
                out=None if self.out == Inspect.out else self.out,
                with_private=self.with_private or None,
            )
            self._serve()
            return
        not_given("--no-browser opens no page", port=self.port or None)
        if not self.images:
            raise ValueError("--no-browser: name images, folders or lists")
        self._write()

    def _serve(self) -> None:
        try:
            from gan_forensics.inspector.server import serve
        except ImportError as error:
            raise ImportError(
                f"the page needs an extra ({error}): pip install 'gan_forensics[inspect]', or take "
                "--no-browser"
            ) from None
        serve(self._tools(), port=self.port, paths=self.images, follow_links=self.follow_links)

    def _write(self) -> None:
        from gan_forensics.files import check_folder_out
        from gan_forensics.inspector.paths import given
        from gan_forensics.inspector.report import earlier_reports, write_reports

        check_folder_out(self.out)
        named = [
            one for path in self.images for one in given(path, say, follow_links=self.follow_links)
        ]
        tools = self._tools()
        lines = write_reports(_inspected(named, tools), tools, self.out, private=self.with_private)
        refused = [line for line in lines if line.refusal]
        judged = sum(line.judged for line in lines)
        if len(refused) == len(lines):
            raise RuntimeError(
                f"no verdict is possible of any of {len(lines)}, see {self.out / 'index.html'}; "
                f"first: {shown(refused[0].refusal, most=500)}"
            )
        if not tools.detectors:
            say(f"no verdict of any of {len(lines)}: no detector was given (--detector)")
        elif judged < len(lines):
            say(f"{len(lines) - judged} of {len(lines)} have no verdict; the pages say why")
        if others := earlier_reports(self.out, lines):
            say(
                f"{self.out} holds {len(others)} files of earlier reports too, of which the index "
                f"knows nothing ({shown(others[0])}{', ...' if len(others) > 1 else ''}); remove "
                "them before you pass the folder on"
            )
        tell(f"Open {self.out / 'index.html'}; all findings are in {self.out / 'index.json'}.")

    def _tools(self) -> "Tools":
        """What images are looked at with, read from files."""
        from gan_forensics.files import check_file_in, sha256_of
        from gan_forensics.forensics import load_attributor, load_detector
        from gan_forensics.forensics.attributor_scorer import AttributorScorer
        from gan_forensics.forensics.credentials import read_anchors
        from gan_forensics.forensics.detectors import needs_weights
        from gan_forensics.forensics.spectrum_bands import load_bands
        from gan_forensics.inspector.findings import Tools

        frozen = [path for path in self.detector if self.weights and needs_weights(path)]
        if self.weights and not frozen:
            not_given("no detector looks at frozen features", weights=self.weights)
        names = [path.name for path in self.detector]
        detectors = tuple(
            (
                path.name if names.count(path.name) == 1 else str(path),
                load_detector(path, frozen=self.weights if path in frozen else None),
            )
            for path in dict.fromkeys(self.detector)
        )
        attributor = self.attributor and (
            self.attributor.name,
            AttributorScorer(load_attributor(self.attributor), sha256_of(self.attributor)),
        )
        anchors = None
        if self.trust is not None:
            check_file_in(self.trust, "certificates in PEM")
            anchors = read_anchors(self.trust)
        bands = None if self.bands is None else load_bands(self.bands)
        return Tools(detectors, attributor, bands, anchors)


def _inspected(named: "list[Named]", tools: "Tools") -> "Iterator[Inspection]":
    """Each image that can be read, looked at, with a progress bar."""
    from gan_forensics.cli.process import progress
    from gan_forensics.files import in_words
    from gan_forensics.inspector.inspection import inspect

    unread = 0
    for number, (name, read) in enumerate(progress(named), 1):
        try:
            content = read()
        except (OSError, ValueError) as error:
            unread += 1
            why = in_words(error) if isinstance(error, OSError) else str(error)
            say(f"{shown(name)}: left out: {why}")
            continue
        yield inspect(content, name, tools, number=number)
    if unread == len(named):
        raise ValueError(f"none of {unread} files can be read")
