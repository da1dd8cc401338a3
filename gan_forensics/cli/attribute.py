"""`gan-forensics attribute`: which generator made an image."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import subcommand

from gan_forensics.cli.attribute_evaluate import AttributeEvaluate
from gan_forensics.cli.attribute_fit import AttributeFit
from gan_forensics.cli.attribute_score import AttributeScore
from gan_forensics.cli.attribute_verify import AttributeVerify


@dataclass(frozen=True)
class Attribute:
    """Tell which generator made an image: fit a model on labelled images, and ask it.

    Try it:

    $ gan-forensics attribute fit --data folder:generators --out generators.npz

    $ gan-forensics attribute score suspects --model generators.npz
    """

    action: (
        Annotated[AttributeFit, subcommand("fit", prefix_name=False)]
        | Annotated[AttributeScore, subcommand("score", prefix_name=False)]
        | Annotated[AttributeEvaluate, subcommand("evaluate", prefix_name=False)]
        | Annotated[AttributeVerify, subcommand("verify", prefix_name=False)]
    )

    def __call__(self) -> None:
        """Run it."""
        self.action()
