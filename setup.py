"""What pyproject.toml cannot say: a wheel carries the predictor, the embedded model and the scorer from beside jsd."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithBundle(build_py):
    def run(self) -> None:
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)  # it would keep files that are gone
        super().run()
        if not self.editable_mode:
            bundle = Path(self.build_lib) / "jsd" / "_bundle"
            for name in ("mini", "clip_ja"):
                shutil.copytree(f"weights/{name}", bundle / "weights" / name, dirs_exist_ok=True)
            shutil.copyfile("predict.py", bundle / "predict.py")


setup(cmdclass={"build_py": BuildWithBundle})
