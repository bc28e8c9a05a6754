"""``python -m townlet``: the command line, as a module.

``python -m`` puts the working directory in front of the import path, and a file there with the name of a
module is imported in place of that module. Here the directory is taken away before anything is imported.
Python has imported some modules of its own by then: use ``python -P -m townlet`` in a directory that others
can write.
"""

import os
import sys

# Not with pathlib, which would be imported from that directory.
if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:  # noqa: PTH109 - see above
    del sys.path[0]

from townlet_adapters.cli.main import main

sys.exit(main())
