"""``python -m gateway`` is the same as ``sealgate``."""

from gateway.cli.main import main

if __name__ == "__main__":
    main()
