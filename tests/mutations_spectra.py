"""Mutations of the command `spectrum`: options that no test told from their default."""

from tests.mutations import Mutation

CLI = "tests/test_cli.py -k spectrum"

MUTATIONS = [
    Mutation(
        "gan_forensics/cli/spectrum.py",
        "opened, normalise=self.normalise",
        'opened, normalise="min-max"',
        CLI,
    ),
    Mutation(
        "gan_forensics/cli/spectrum.py",
        'title="Mean radial log spectrum", normalise=self.normalise',
        'title="Mean radial log spectrum"',
        CLI,
    ),
    Mutation(
        "gan_forensics/cli/spectrum.py",
        "size=self.resize, follow_links=self.follow_links",
        "size=self.resize, follow_links=False",
        CLI,
    ),
    Mutation(
        "gan_forensics/spectra/resamplers.py",
        "place = 2 * np.arange(n) - np.arange(2 * n)[:, None] + len(taps) // 2",
        "place = 2 * np.arange(n) - np.arange(2 * n)[:, None] + len(taps) // 2 - 1",
        "tests/test_spectra_resamplers.py",
    ),
]
