"""Formulas as MathML, which browsers draw themselves: no script, no font, no network.

Docutils, which Sphinx rests on, brings the converter.
"""

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging


def mathml(formula: str, *, block: bool = False) -> str:
    r"""A formula in LaTeX as a `<math>` element.

    Args:
        formula: such as `\frac{a}{b}`.
        block: a line of its own.

    Raises:
        ValueError: for what the converter does not know, with the formula.

    Example:
        >>> mathml("x^2").replace("\n", "").replace("  ", "")
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><msup><mi>x</mi><mn>2</mn></msup></math>'
    """
    try:
        return tex2mathml(formula, as_block=block)
    except (MathError, SyntaxError) as error:
        raise ValueError(f"the formula {formula!r} cannot be read: {error}") from error


def _visit(translator: Any, node: nodes.Element) -> None:
    try:
        drawn = mathml(node.astext(), block=isinstance(node, nodes.math_block))
    except ValueError as error:
        logging.getLogger(__name__).warning(str(error), location=node)
    else:
        translator.body.append(drawn)
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls it."""
    app.add_html_math_renderer("mathml", (_visit, None), (_visit, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
