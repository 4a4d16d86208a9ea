"""Virtual environments of the peers. In: a folder. Out: their Python, and the versions that are in them.

Peers want versions of transformers that exclude each other, so each has an environment; extune and the plain Trainer run in
the one that runs this. It knows nothing about workloads.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TORCH = "torch==2.13.0"
"""One build for all: a speed should not be torch's."""
_DONE = "extune-benchmark.json"
_LIST_REQUIREMENTS = """
import importlib.metadata, sys
print("\\n".join(one for one in importlib.metadata.requires(sys.argv[1]) or () if "extra ==" not in one))
"""
_LIST_VERSIONS = """
import importlib.metadata, json, platform, sys
found = {one: importlib.metadata.version(one) for one in sys.argv[1:]}
print(json.dumps({"python": platform.python_version(), **found}))
"""
_SHOWN = ("torch", "transformers", "peft", "accelerate")


@dataclass(frozen=True)
class Environment:
    """What one environment holds.

    Attributes:
        package: the peer's name on PyPI.
        version: of it.
        beside: requirements that the package does not name itself.
        without: requirements that it names and that text does not need; they would need builds that match the one of torch.
        stubs: of those, what the package imports all the same: an empty package of this name takes its place.
    """

    package: str
    version: str
    beside: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    stubs: tuple[str, ...] = ()


ENVIRONMENTS = {
    "trl": Environment("trl", "1.16.0", beside=("peft==0.21.2", "transformers==5.17.0", "accelerate==1.15.0")),
    "llamafactory": Environment("llamafactory", "0.9.5", without=("torchvision", "torchaudio"), stubs=("torchaudio",)),
    "ms-swift": Environment("ms-swift", "4.6.0", without=("torchvision", "torchaudio")),
}


def find_environment(folder: Path, name: str) -> Path | None:
    """The Python of an environment; None where it is not there or was made for other versions."""
    done = folder / name / _DONE
    is_made = done.is_file() and json.loads(done.read_text(encoding="utf-8")).get("wanted") == repr(ENVIRONMENTS[name])
    return _python_in(folder / name) if is_made else None


def _python_in(place: Path) -> Path:
    return place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def make_environment(folder: Path, name: str) -> Path:
    """The Python of an environment, which is made first where it is not there or was made for other versions."""
    found = find_environment(folder, name)
    if found is not None:
        return found
    wanted, place = ENVIRONMENTS[name], folder / name
    python = _python_in(place)
    print(f"making the environment of {wanted.package} {wanted.version} in {place}", flush=True)
    venv.create(place, clear=True, with_pip=True)
    constraints = place / "constraints.txt"
    constraints.write_text(TORCH + "\n", encoding="utf-8")
    install = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(constraints)]
    subprocess.run([*install, TORCH, "numpy", "setuptools"], check=True)
    subprocess.run([*install, "--no-deps", f"{wanted.package}=={wanted.version}"], check=True)
    listed = subprocess.run([python, "-c", _LIST_REQUIREMENTS, wanted.package], check=True, capture_output=True, text=True)
    needed = leave_out(listed.stdout.splitlines(), wanted.without)
    subprocess.run([*install, *needed, *wanted.beside], check=True)
    _write_stubs(python, wanted.stubs)
    versions = list_versions(python, wanted.package)
    (place / _DONE).write_text(json.dumps({"wanted": repr(wanted), "versions": versions}, indent=1) + "\n", encoding="utf-8")
    return python


def leave_out(requirements: Sequence[str], names: Sequence[str]) -> list[str]:
    """Requirements, such as `torchaudio>=2.4.0`, without those of the packages named."""
    return [one for one in requirements if _package_of(one) not in names]


@cache
def list_versions(python: Path | str, package: str) -> dict[str, str]:
    """The versions that decide speed, and the package's own."""
    command = [str(python), "-c", _LIST_VERSIONS, *dict.fromkeys((package, *_SHOWN))]
    found: dict[str, str] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def _package_of(requirement: str) -> str:
    """The name at the beginning of a requirement."""
    end = next((at for at, letter in enumerate(requirement) if not (letter.isalnum() or letter in "-_.")), len(requirement))
    return requirement[:end].lower()


def _write_stubs(python: Path, names: Sequence[str]) -> None:
    """Empty packages, in the peer's environment only."""
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    for name in names:
        (packages / name).mkdir(exist_ok=True)
        (packages / name / "__init__.py").write_text(
            '"""Stands in for a package that text does not need."""\n', encoding="utf-8"
        )
