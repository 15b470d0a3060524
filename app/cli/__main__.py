"""`python -m app.cli`: the same tool where it is not installed as `fairdrop`."""

from app.cli.main import fairdrop

if __name__ == "__main__":
    fairdrop(prog_name="fairdrop")
