"""`python -m cody.cli`: how `cody dev` starts the other parts with its own interpreter."""

from cody.cli.group import main

if __name__ == "__main__":
    main(prog_name="cody")
