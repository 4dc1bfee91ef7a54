"""`python -m lastiterate` is the command `lastiterate`."""

import sys

from lastiterate.cli import main

sys.exit(main())
