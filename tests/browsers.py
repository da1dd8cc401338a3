"""Debian's Chromium for the tests of pages. Where GAN_FORENSICS_BROWSER is "required" (as in
continuous integration) a missing one is a failure, elsewhere its tests are skipped."""

import os
import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None and os.environ.get("GAN_FORENSICS_BROWSER") == "required":
    raise RuntimeError("no chromium binary, and GAN_FORENSICS_BROWSER=required: install chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium binary")
