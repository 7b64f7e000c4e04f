import sys

from jsd.cli import main

sys.exit(main())
