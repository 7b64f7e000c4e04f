"""Nothing heavy happens on import."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "diffusers", "transformers")


@pytest.mark.parametrize(
    "program",
    [
        "import jsd",
        "import jsd.options, jsd.schedulers, jsd.errors, jsd.i18n",
        "from jsd import SamplingOptions; SamplingOptions(prompt='猫')",
        "from jsd.cli import main; main(['--help'])",
        "from jsd.cli import main; main(['generate', '--help'])",
        "from jsd.cli import main; main(['generate', '猫', '--num-inference-steps', '0'])",
    ],
)
def test_it_does_not_import_torch(program: str) -> None:
    check = f"import sys; print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    wrapped = f"try:\n    {program}\nexcept SystemExit:\n    pass\n{check}"
    result = subprocess.run([sys.executable, "-c", wrapped], capture_output=True, text=True)
    assert "heavy: []" in result.stdout, f"{program}: {result.stdout[-200:]}{result.stderr[-2000:]}"


def test_python_m_jsd_answers_help() -> None:
    result = subprocess.run([sys.executable, "-m", "jsd", "--help"], capture_output=True, text=True)
    assert result.returncode == 0 and "generate" in result.stdout, result.stderr
