"""``python -m llmdas_agent`` is the command ``llmdas-agent``."""

from .cli.main import main

if __name__ == "__main__":
    main()
