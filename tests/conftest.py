"""What every test shares: helper modules beside the tests are importable, and one small procedural flat."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
for folder in sorted(path for path in Path(__file__).parent.iterdir() if path.is_dir()):
    sys.path.insert(0, str(folder))
