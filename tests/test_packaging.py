"""The build files agree with each other and with the tree: pins, sources by name, the layers, wheels' versions."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import pyregions
import pyregions._libraries as libraries

ROOT = Path(__file__).resolve().parent.parent
PINNED = ("highspy", "scipy-openblas32")


def pins(text: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, number in re.findall(r'^[ "\']*([A-Za-z0-9_-]+)==([^;"\', \n]+)', text, flags=re.M):
        found.setdefault(name, set()).add(number)
    return found


def test_every_pin_is_the_same_everywhere():
    text = (ROOT / "pyproject.toml").read_text()
    build, project = text.split("[project]")
    dependencies = re.search(r"^dependencies = \[(.*)\]", project, flags=re.M)
    assert dependencies is not None
    run_time = pins(dependencies[1].replace(", ", "\n"))
    tested = pins((ROOT / "constraints.txt").read_text())
    for name in PINNED:
        assert pins(build)[name] == run_time[name] == tested[name] == {version(name)}
    assert pins(build)["highsbox"] == tested["highsbox"] == tested["highspy"]
    assert tested["torch"] == {"2.13.0"}


def test_everything_beside_the_modules_is_installed():
    source, installed = ROOT / "pyregions", Path(pyregions.__file__).parent
    skipped = {".so", ".dylib", ".pyc"}
    files = [f.relative_to(source) for f in source.rglob("*") if f.is_file() and f.suffix not in skipped]
    assert files and not [str(f) for f in files if not (installed / f).exists()]


def listed_sources() -> dict[str, int]:
    """Sources of CMakeLists.txt with the layer of the comment above them."""
    layers: dict[str, int] = {}
    layer = -1
    for line in (ROOT / "CMakeLists.txt").read_text().splitlines():
        if heading := re.match(r"\s*# (\d)  ", line):
            layer = int(heading[1])
        if source := re.search(r"\bcpp/(\w+\.cpp)", line):
            layers[source[1]] = layer
    return layers


def layer_of(text: str) -> int:
    """The layer a file of the core names in its first line."""
    heading = re.match(r"// Layer (\d)\b", text)
    assert heading is not None, text.splitlines()[0]
    return int(heading[1])


def test_cmake_lists_every_source_in_its_layer():
    listed = listed_sources()
    assert set(listed) == {file.name for file in (ROOT / "cpp").glob("*.cpp")}
    assert list(listed.values()) == sorted(listed.values())
    for name, layer in listed.items():
        assert layer_of((ROOT / "cpp" / name).read_text()) == layer, name


def test_includes_go_down_the_layers():
    files = {file.name: file.read_text() for pattern in ("*.h", "*.cpp") for file in (ROOT / "cpp").glob(pattern)}
    layers = {name: layer_of(text) for name, text in files.items()}
    for name, text in files.items():
        for included in re.findall(r'#include "(\w+\.h)"', text):
            assert layers[included] <= layers[name], f"{name} includes {included} of a higher layer"


def test_only_one_file_knows_each_library():
    texts = {file.name: file.read_text() for file in (ROOT / "cpp").glob("*.*")}
    owners = {"highs_c_api.h": r"lp\.cpp", "cblas.h": r"dense\.cpp", "pybind11/": r"bindings\w*\.(cpp|h)"}
    for header, owner in owners.items():
        users = {name for name, text in texts.items() if re.search(rf"#include <[^>]*{re.escape(header)}", text)}
        assert users and all(re.fullmatch(owner, name) for name in users), header


def test_a_foreign_highs_is_refused():
    libraries.check_versions("1.15.1", "1.15.1")
    with pytest.raises(ImportError, match="highspy==1.15.1"):
        libraries.check_versions("1.15.1", "1.14.0")


def test_a_tree_without_the_core_says_so(tmp_path):
    shutil.copytree(ROOT / "pyregions", tmp_path / "pyregions", ignore=shutil.ignore_patterns("*.so", "*.dylib"))
    run = subprocess.run([sys.executable, "-c", "import pyregions"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode != 0 and "looks like the source tree" in run.stderr


def test_an_absent_wheel_is_named(monkeypatch):
    monkeypatch.setattr(libraries, "find_spec", lambda package: None)
    with pytest.raises(ImportError, match="pip install highspy"):
        libraries._open_libraries(ImportError("libhighs.so.1: cannot open"))
