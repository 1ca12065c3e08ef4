"""Builds pyregions._core by running CMake; everything else about the package is in pyproject.toml."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent


class CMakeBuild(build_ext):
    """Configure, build and install the one target; `CMAKE_ARGS` in the environment is passed on."""

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        build = Path(self.build_temp).resolve() / "core"
        # Paths of an earlier isolated build environment are gone by now; never configure on top of them.
        shutil.rmtree(build, ignore_errors=True)
        build.mkdir(parents=True)

        configure = [
            f"-DPython_EXECUTABLE={sys.executable}",
            "-DPYREGIONS_PYTHON=ON",
            "-DPYREGIONS_TESTS=OFF",
            "-DPYREGIONS_BENCHMARKS=OFF",
            f"-DCMAKE_BUILD_TYPE={'Debug' if self.debug else 'Release'}",
        ]
        if shutil.which("ninja"):
            configure += ["-G", "Ninja"]
        if self.inplace or getattr(self, "editable_mode", False):
            # The module stays in the source tree, so the libraries are not beside its package.
            site = Path(sysconfig.get_paths()["purelib"])
            configure.append(f"-DPYREGIONS_EXTRA_RPATH={site / 'highspy'};{site / 'scipy_openblas32' / 'lib'}")
        configure += shlex.split(os.environ.get("CMAKE_ARGS", ""))

        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(available_cpus())
        run("cmake", "-S", str(ROOT), "-B", str(build), *configure)
        run("cmake", "--build", str(build), "--target", "_core", "--parallel", jobs)
        run("cmake", "--install", str(build), "--component", "python", "--prefix", str(target))


def available_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(*command: str) -> None:
    print("+", shlex.join(command), flush=True)
    subprocess.run(command, check=True)


setup(ext_modules=[Extension("pyregions._core", sources=[])], cmdclass={"build_ext": CMakeBuild})
