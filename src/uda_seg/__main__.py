"""`python -m uda_seg [VERB] key=value …`; the verb is train when it is left out."""

from uda_seg.cli.main import main

if __name__ == "__main__":
    main()
