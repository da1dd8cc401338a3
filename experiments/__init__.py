"""One script per paper; each opens with its command, its time, and the numbers to expect.

A script is `python -m experiments.NAME` in a clone, `python -m gan_forensics.experiments.NAME` where
the package is installed, and `gan_forensics.studies.run(NAME, PRESET)` in Python. Its module is
`gan_forensics.experiments.NAME` everywhere.
"""
