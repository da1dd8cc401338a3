"""Small stages in place of the inspector's own, and files for the tests of its page."""

import io
from contextlib import contextmanager

import jinja2
import numpy as np
from PIL import Image

from gan_forensics.inspector import rendering, stages
from gan_forensics.inspector.findings import Finding

PAGES = {
    "file.html": '<h3>The file</h3><p class="sides">{{ facts.sides }} {{ private.place }}</p>',
    "verdict.html": "<h3>The verdict</h3><p>{{ facts.summary }}</p>",
    "relevance.html": """<h3>What it used</h3>
<label>Opacity <input type="range" min="0" max="100" value="60" data-layer="{{ id }}-over"></label>
<div class="layers"><img src="{{ picture("base") }}" alt="The picture">
<img class="layer" id="{{ id }}-over" src="{{ picture("layer") }}" alt=""></div>
{% from "words.html" import told %}
<dl>{{ told("Mean", facts.mean, "How bright it is.") }}</dl>""",
}


def image_file(side=48, colour=(200, 30, 30), kind="PNG"):
    """An image file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (side + 16, side), colour).save(file, kind)
    return file.getvalue()


def look_at_file(opened, tools):
    """The picture to look at; whoever is called `fail` cannot be."""
    if "fail" in opened.name:
        raise ValueError("this <b>stage</b> fails")
    pictures = {} if opened.pixels is None else {"preview": opened.pixels}
    sides = [] if opened.pixels is None else list(opened.pixels.shape)
    return Finding("file", {"sides": sides}, {"place": "47.11 N"}, pictures)


def judge(opened, tools):
    """A verdict that is always the same."""
    return None if opened.pixels is None else Finding("verdict", {"summary": "unsure: a stand-in"})


def explain(opened, tools):
    """Two pictures, one over the other."""
    if opened.pixels is None:
        return None
    layer = np.zeros((*opened.pixels.shape[:2], 4), np.uint8)
    layer[..., 2:] = 255
    mean = round(float(opened.pixels.mean()), 2)
    return Finding("relevance", {"mean": mean}, {}, {"base": opened.pixels, "layer": layer})


@contextmanager
def stand_ins(first=None, later=None):
    """The inspector with these stages alone, and templates of their own."""
    first = {"file": look_at_file, "verdict": judge} if first is None else first
    later = {"relevance": explain} if later is None else later
    environment = rendering._environment()
    loader, before = environment.loader, (dict(stages.FIRST), dict(stages.LATER))
    environment.loader = jinja2.ChoiceLoader([jinja2.DictLoader(PAGES), loader])
    environment.cache.clear()
    _become(stages.FIRST, first)
    _become(stages.LATER, later)
    try:
        yield
    finally:
        _become(stages.FIRST, before[0])
        _become(stages.LATER, before[1])
        environment.loader = loader
        environment.cache.clear()


def _become(there, new):
    there.clear()
    there.update(new)
