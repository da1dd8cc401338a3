"""A page for each package, from its docstrings.

Docstrings are prose in Google's form, with names in single backticks; to Sphinx they are
reStructuredText, in which stars and bars mean something. `as_rst` goes between.
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, get_args

from docutils import nodes
from sphinx.application import Sphinx

import gan_forensics
from docs.extensions.made import write_pages

_SECTION = re.compile(r"(Args|Attributes|Returns|Yields|Raises|Example):$")
# Examples and tables, up to the next empty line.
_AS_IT_STANDS = re.compile(r"\s*(>>> |=+( +=+)+$)")
_NAME = re.compile(r"[a-zA-Z_][\w.]*")
_ITEM = re.compile(r"\s*([-*]|\d+\.) ")


def page(area: str) -> str:
    """The page of a package.

    Example:
        >>> print(page("train").splitlines()[0])
        # gan_forensics.train
    """
    directive = f".. automodule:: gan_forensics.{area}\n   :members:"
    return f"# gan_forensics.{area}\n\n```{{eval-rst}}\n{directive}\n```\n"


def as_rst(lines: Sequence[str]) -> list[str]:
    """A docstring in which nothing is markup but backticks, lists, sections and examples.

    Text that is set in from the left margin is a block of its own, drawn as it stands.

    Example:
        >>> print("\\n".join(as_rst(["A|b", "", "    p   one *", "", "Args:", "    x: `b|c`."])))
        A\\|b
        <BLANKLINE>
        ::
        <BLANKLINE>
            p   one *
        <BLANKLINE>
        Args:
            x: ``b|c``.
    """
    return [line for block in _blocks(list(lines)) for line in block]


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Paragraphs, with the empty lines after them."""
    above = ""
    while lines:
        size = len(list(takewhile(str.strip, lines)))
        size += len(list(takewhile(lambda line: not line.strip(), lines[size:])))
        block, lines = lines[:size], lines[size:]
        first = block[0]
        if first.startswith(" ") and above in ("text", "drawn"):
            yield block if above == "drawn" else ["::", "", *block]
            above = "drawn"
            continue
        start = next((n for n, line in enumerate(block) if _AS_IT_STANDS.match(line)), len(block))
        yield [*_escaped(block[:start]), *block[start:]] if start else block
        if _SECTION.match(first):
            above = "section"
        elif not first.startswith(" "):
            above = "list" if _ITEM.match(first) else "text"


def _escaped(block: list[str]) -> list[str]:
    """A paragraph in which only what stands in backticks is markup: names, and other code."""
    parts = re.split(r"`([^`]+)`", "\n".join(block))
    parts[::2] = [re.sub(r"[\\*|`]|_(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
    parts[1::2] = [
        # A word that goes on behind a backtick has to be parted from it.
        (f"`{code}`" if _NAME.fullmatch(code) else f"``{code}``") + "\\ " * after[:1].isalnum()
        for code, after in zip(parts[1::2], parts[2::2], strict=True)
    ]
    return "".join(parts).split("\n")


def of_constant(value: Any) -> str:
    """What a constant holds: names, values, types.

    Example:
        >>> of_constant({"normal": min, "uniform": max}), of_constant("a")
        ('By name: ``normal``, ``uniform``.', '``a``.')
    """
    if isinstance(value, Mapping):
        return f"By name: {', '.join(f'``{name}``' for name in value)}."
    of = get_args(value) or (value if isinstance(value, tuple) else (value,))
    names = [each.__name__ if inspect.isclass(each) else str(each) for each in of]
    return f"{', '.join(f'``{name}``' for name in names)}."


def _read(app: Sphinx, what: str, name: str, of: Any, options: Any, lines: list[str]) -> None:
    """What autodoc does with every docstring, before Google's sections are read."""
    lines[:] = as_rst(lines)
    if what == "module" and hasattr(of, "__all__"):
        exported = {name: getattr(of, name) for name in of.__all__}
        plain = {
            name: value
            for name, value in exported.items()
            if getattr(value, "__doc__", None) in (None, type(value).__doc__)
        }
        lines += ["", ".. autosummary::", "   :nosignatures:", ""]
        lines += [f"   {name}" for name in exported if name not in plain]
        # Their own docstrings are those of `dict` and the like.
        for name, value in plain.items():
            lines += ["", f".. py:data:: {name}", "", f"   {of_constant(value)}"]


def _is_left_out(
    app: Sphinx, what: str, name: str, of: Any, skip: bool, options: Any
) -> bool | None:
    """Fields of named tuples, which the class documents, and what scikit-learn adds to classes."""
    said = getattr(of, "__doc__", None) or ""
    module = getattr(of, "__module__", None) or ""
    other = module.startswith("sklearn.")
    return True if said.startswith("Alias for field number") or other else None


def _with_short_names(
    app: Sphinx,
    what: str,
    name: str,
    of: Any,
    options: Any,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """JAX's arrays by the name that users know."""
    short = [
        text and text.replace("jaxlib._jax.Array", "jax.Array") for text in (signature, returns)
    ]
    return short[0], short[1]


def _with_our_words(app: Sphinx, doctree: nodes.document) -> None:
    """Fields as the docstrings call them."""
    for text in list(doctree.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(": "))
        elif text == "Variables" and isinstance(text.parent, nodes.field_name):
            text.parent.replace(text, nodes.Text("Attributes"))


def _write(app: Sphinx) -> None:
    write_pages(app.srcdir / "docs" / "api", {area: page(area) for area in gan_forensics._AREAS})


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls it."""
    app.connect("builder-inited", _write)
    app.connect("doctree-read", _with_our_words)
    app.connect("autodoc-skip-member", _is_left_out)
    app.connect("autodoc-process-signature", _with_short_names)
    # Before napoleon, which has the usual 500.
    app.connect("autodoc-process-docstring", _read, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
