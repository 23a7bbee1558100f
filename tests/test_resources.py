"""web/ and migrations/ are found in a checkout, in an installed wheel and in a frozen binary."""

import subprocess
import sys
from pathlib import Path

import pytest

from flowfuse import resources
from flowfuse.resources import asset_root

REPOSITORY = Path(__file__).resolve().parent.parent
NEEDED = ("web/dist/manifest.json", "web/templates/base.html", "migrations")


def test_a_checkout_reads_its_own_files() -> None:
    assert asset_root("web") == REPOSITORY / "web"
    assert asset_root("migrations") == REPOSITORY / "migrations"
    assert (asset_root("web") / "templates" / "base.html").is_file()


def test_a_frozen_binary_reads_what_it_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    assert asset_root("web") == tmp_path / "web"
    assert asset_root("migrations") == tmp_path / "migrations"


def test_a_package_with_data_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flowfuse" / "_data" / "web").mkdir(parents=True)
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "flowfuse" / "resources.py"))
    assert asset_root("web") == tmp_path / "flowfuse" / "_data" / "web"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_installed_wheel_brings_them_along(tmp_path: Path) -> None:
    python = _install(_build_wheel(tmp_path), tmp_path / "venv")
    program = "from flowfuse.resources import asset_root; print(asset_root('web').parent)"
    top = Path(_run(python, "-c", program, cwd=tmp_path).strip())
    assert top.is_relative_to(tmp_path / "venv")
    assert [name for name in NEEDED if not (top / name).exists()] == []
    assert list((top / "migrations").glob("0001_*.sql")) != []
    assert list(top.rglob("node_modules")) == []


def _build_wheel(folder: Path) -> Path:
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=REPOSITORY)
    (wheel,) = folder.glob("flowfuse-*.whl")
    return wheel


def _install(wheel: Path, venv: Path) -> str:
    _run(sys.executable, "-m", "venv", "--without-pip", str(venv), cwd=venv.parent)
    python = str(venv / "bin" / "python")
    pip = ["-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    _run(sys.executable, *pip, cwd=venv.parent)
    return python


def _run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
