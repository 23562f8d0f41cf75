"""``python -m penny``."""

from penny.cli.main import main


raise SystemExit(main())
