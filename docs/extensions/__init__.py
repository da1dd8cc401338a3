"""What Sphinx needs besides: pages of packages and papers, results, mathematics without scripts."""
