"""`gan-forensics evaluate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from gan_forensics.cli.process import progress

if TYPE_CHECKING:
    from gan_forensics.data import Source
    from gan_forensics.quality import FeatureExtractor


@dataclass(frozen=True)
class Evaluate:
    """Measure how good generated images are: FID, KID, inception score, precision and recall.

    FID, KID and the inception score are defined on one network, whose weights you bring (--weights:
    pt_inception-2015-12-05-6726825d.pth of pytorch-fid, or the same arrays as .npz or
    .safetensors). With --features small a small classifier is trained on the labels of the data,
    with --features random none; distances on these are reported under their own names.

    Try it:

    $ gan-forensics evaluate runs/sngan-32 --data tfds:cifar10 --weights inception.npz -n 10000

    $ gan-forensics evaluate generated --data photographs --weights inception.npz --size 64

    $ gan-forensics evaluate runs/sngan-32 --data samples:digits --features small --draws 3
    """

    run: Positional[str]
    """What to judge: a run folder of `train`, a folder of images, or any other source."""
    data: str
    """Source of the real images."""
    metrics: str = "fid,kid,is,prdc"
    """Some of fid, kid, is (inception score), prdc (precision, recall, density, coverage)."""
    features: Literal["inception", "small", "random"] = "inception"
    """What the images are described by."""
    weights: Path | None = None
    """The FID Inception weights."""
    resize: Literal["tensorflow", "pytorch-fid"] = "tensorflow"
    """To 299x299: as in the original graph and torch-fidelity, or as in pytorch-fid."""
    n: Annotated[int, arg(aliases=["-n"])] = 5000
    """Images of each kind, as far as there are so many; values depend on it."""
    draws: int = 1
    """Draws of n images from the GAN; with several, their spread is reported."""
    size: int | None = None
    """Side that images are brought to; by default the GAN's, or as they are."""
    split: Literal["train", "test", "all"] = "all"
    """Which real images."""
    seed: int = 0
    """Of the choice of real images, the noise, the classifier and the subsets."""
    cache: Path | None = None
    """Folder that keeps the features of the real images."""
    out: Path | None = None
    """File for the results; by default results.json in the run folder, or here."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.data import open_source
        from gan_forensics.data.files import check_file_out, check_folder_out, write_json
        from gan_forensics.quality import check_metrics, evaluate_images
        from gan_forensics.report import report_run
        from gan_forensics.report.provenance import provenance

        metrics = check_metrics(name.strip() for name in self.metrics.split(","))
        if self.n < 1 or self.draws < 1:
            raise ValueError(f"-n {self.n} --draws {self.draws}: both must be at least 1")
        if self.features == "inception" and self.weights is None:
            from gan_forensics.quality.inception_features import HOW_TO_GET

            raise ValueError(
                f"FID and its kin need weights: {HOW_TO_GET}; or judge by features of our own with "
                "--features small (a classifier trained on the labels of --data) or random"
            )
        run = Path(self.run)
        is_run = (run / "config.json").exists()
        out = self.out or (run if is_run else Path()) / "results.json"
        check_file_out(out)
        if self.cache:
            check_folder_out(self.cache, "--cache")
        if is_run:
            fakes, made, size = self._draws(run)
        elif self.draws == 1:
            fakes = [_some(open_source(self.run, size=self.size), self.n, self.seed)]
            made, size = self.run, self.size
        else:
            raise ValueError(
                f"--draws {self.draws} are for GANs: {self.run} is no run folder of `train`"
            )
        real = open_source(self.data, size=size, split=self.split)
        extractor = self._extractor(real, run if is_run else None)
        scores = evaluate_images(
            _some(real, self.n, self.seed),
            fakes,
            extractor,
            metrics=metrics,
            seed=self.seed,
            cache=self.cache,
            progress=progress,
        )
        protocol = {
            "generated": made,
            "real": f"{self.data}, split {self.split}",
            "size": size or "as they are",
            "asked_for": self.n,
            "draws": self.draws,
            "seed": self.seed,
            "quantisation": "fixed: (x + 1) 127.5, to the nearest",
            "features": {"name": extractor.name, **extractor.protocol},
            "metrics": {score.name: score.protocol for score in scores},
            **provenance(),
        }
        rows = [
            {
                "metric": score.name,
                "value": score.value,
                "spread": score.spread,
                "real": score.counts.get("real"),
                "fake": score.counts["fake"],
                "features": score.features,
                "seed": score.seed,
                "warning": score.warning,
            }
            for score in scores
        ]
        write_json(out, {"protocol": protocol, "quality": rows})
        width = max(len(score.name) for score in scores)
        print(f"{'metric':{width}}  {'value':>10}  {'spread':>10}  {'real':>6}  {'fake':>6}")
        for row in rows:
            spread = "-" if row["spread"] is None else f"{row['spread']:.4g}"
            print(
                f"{row['metric']:{width}}  {row['value']:10.5g}  {spread:>10}  "
                f"{row['real'] or '-':>6}  {row['fake']:>6}"
            )
        for warning in dict.fromkeys([*(score.warning for score in scores), extractor.warning]):
            if warning:
                print(f"Note: {warning}.")
        print(f"The protocol is in {out}.")
        if is_run and self.out is None:
            print(f"Open {report_run(run)}.")

    def _draws(self, run: Path) -> tuple[list, str, int]:
        """Draws of a GAN, what they are, and the side of its images."""
        from gan_forensics.gans import generate, load_gan

        gan, state = load_gan(run)
        size = gan.config.size
        if self.size not in (None, size):
            raise ValueError(f"--size {self.size}: this GAN makes images of {size}; leave it out")
        seeds = range(self.seed, self.seed + self.draws)
        draws = [generate(gan, state, self.n, seed=seed) for seed in seeds]
        return draws, f"{run}, {gan.config.method}, step {int(state.step)}", size

    def _extractor(self, real: "Source", run: Path | None) -> "FeatureExtractor":
        from gan_forensics import quality

        if self.weights and self.features == "inception":
            return quality.inception_features(self.weights, resize=self.resize)
        if self.features == "random":
            return quality.random_features(real[0]["image"].shape[-1], seed=self.seed)
        kept = run / f"small_classifier_{self.seed}" if run else None
        return quality.small_classifier_features(real, kept, seed=self.seed)


def _some(source: "Source", n: int, seed: int) -> "Source":
    """At most n examples, chosen without replacement."""
    import numpy as np

    from gan_forensics.data import Rows

    if len(source) <= n:
        return source
    return Rows(source, np.sort(np.random.default_rng(seed).choice(len(source), n, replace=False)))
