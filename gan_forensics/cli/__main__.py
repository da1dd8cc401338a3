"""`python -m gan_forensics.cli` is `gan-forensics`."""

from gan_forensics.cli.entry import main

if __name__ == "__main__":
    main()
