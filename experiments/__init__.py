"""One script per paper; each opens with its command, its time, and the numbers to expect.

`python -m experiments.doping smoke` in a clone is `python -m gan_forensics.experiments.doping
smoke` where the package is installed, and `gan_forensics.studies.run("doping", "smoke")` in Python.
The module's name is `gan_forensics.experiments.doping` everywhere.
"""
