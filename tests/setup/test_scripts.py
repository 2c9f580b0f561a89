import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.ordinary import Ordinary, ordinary_user
from support.reference import AS_ROOT, REPOSITORY, require

SETUP = REPOSITORY / "scripts" / "setup.sh"
ABSENT = "everest-secure-no-such-package"
PROGRAMS = ("sh", "setpriv", "id", "dpkg-query", "grep", "locale", "unshare")
"""What the scripts need until they become root; neither sudo nor apt-get."""
RANGES = "nobody:100000:65536\n"


@pytest.fixture
def user() -> Iterator[Ordinary]:
    """An ordinary user with copies of the scripts and a search path without sudo in `bin`."""
    require("setpriv", "unshare")
    with ordinary_user() as ordinary:
        ordinary.directory.chmod(0o755)
        (ordinary.directory / "bin").mkdir()
        for program in PROGRAMS:
            if found := shutil.which(program):
                (ordinary.directory / "bin" / program).symlink_to(found)
        for script in (SETUP, AS_ROOT):
            shutil.copy(script, ordinary.directory)
        yield ordinary


def said(user: Ordinary, script: Path, *arguments: str) -> tuple[int, str]:
    """Run a script as that user; return its exit code and what it said."""
    done = user.run(user.directory / script.name, *arguments, env={"PATH": str(user.directory / "bin")})
    return done.returncode, done.stdout


def test_setup_is_silent_when_nothing_is_missing(user: Ordinary) -> None:
    require("dpkg-query")
    assert said(user, SETUP, "packages", "dpkg", "tar") == (0, "")


def test_setup_says_what_is_missing_when_it_may_not_install(user: Ordinary) -> None:
    require("dpkg-query")
    assert said(user, SETUP, "packages", "dpkg", ABSENT, "tar", f"{ABSENT}-2") == (
        2,
        f"setup: missing Debian packages; install them as root: apt-get install {ABSENT} {ABSENT}-2\n",
    )


def test_setup_goes_on_without_an_optional_package_that_this_debian_has_not(user: Ordinary) -> None:
    require("dpkg-query", "apt-cache")
    (user.directory / "bin/apt-cache").symlink_to(shutil.which("apt-cache") or "")
    assert said(user, SETUP, "optional", "dpkg", ABSENT) == (
        0,
        f"setup: this Debian has no package {ABSENT}; tests that need it are skipped\n",
    )


def test_setup_names_the_packages_on_a_machine_without_dpkg(user: Ordinary) -> None:
    (user.directory / "bin/dpkg-query").unlink(missing_ok=True)
    assert said(user, SETUP, "packages", "a", "b") == (0, "setup: this machine is not Debian; install these by hand: a b\n")


@pytest.mark.parametrize("arguments", [(), ("packages",), ("install", "dpkg"), ("locale", "en_US", "de_DE"), ("npm", "here")])
def test_setup_explains_its_use(user: Ordinary, arguments: tuple[str, ...]) -> None:
    script = user.directory / "setup.sh"
    usage = f"usage: {script} packages PACKAGE... | {script} optional PACKAGE... | {script} locale LANGUAGE_COUNTRY | {script} npm DIRECTORY PACKAGE@VERSION\n"
    assert said(user, SETUP, *arguments) == (64, usage)


def test_setup_goes_on_without_npm_and_says_what_that_costs(user: Ordinary) -> None:
    assert said(user, SETUP, "npm", "here", "a@1") == (0, "setup: npm is not installed; tests that need a@1 are skipped\n")


def test_setup_is_silent_when_the_package_is_there_in_that_version(tmp_path: Path) -> None:
    require("npm")
    (tmp_path / "node_modules/@scope/a").mkdir(parents=True)
    (tmp_path / "node_modules/@scope/a/package.json").write_text('{\n  "version": "1.2"\n}\n')
    done = subprocess.run([SETUP, "npm", tmp_path, "@scope/a@1.2"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_setup_is_silent_when_the_locale_is_there(user: Ordinary) -> None:
    require("locale")
    assert said(user, SETUP, "locale", "C") == (0, "")


def test_setup_says_which_locale_is_missing_when_it_may_not_make_it(user: Ordinary) -> None:
    require("locale")
    assert said(user, SETUP, "locale", "xx_XX") == (
        2,
        "setup: the locale xx_XX.UTF-8 is missing; make it as root: localedef --inputfile xx_XX --charmap UTF-8 xx_XX.UTF-8\n",
    )


def test_setup_says_so_when_no_locale_can_be_made_of_that_name() -> None:
    require("locale", "localedef")
    if os.geteuid():
        pytest.skip("only root makes locales")
    done = subprocess.run([SETUP, "locale", "xx_XX"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "setup: could not make the locale xx_XX.UTF-8; install the Debian package locales"


def test_setup_says_so_when_apt_has_no_such_package(tmp_path: Path) -> None:
    require("apt-get", "dpkg-query")
    if os.geteuid():
        pytest.skip("only root installs packages")
    for name in ("lists", "cache"):
        (tmp_path / name).mkdir()
    configuration = tmp_path / "apt.conf"
    places = {
        "Etc::sourcelist": "/dev/null",
        "Etc::sourceparts": "/dev/null",
        "State::lists": f"{tmp_path}/lists",
        "Cache": f"{tmp_path}/cache",
    }
    configuration.write_text("".join(f'Dir::{name} "{place}";\n' for name, place in places.items()))
    done = subprocess.run(
        [SETUP, "packages", ABSENT],
        env={**os.environ, "APT_CONFIG": str(configuration), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == f"setup: installing {ABSENT}\n"
    assert done.stderr.splitlines()[-1] == f"setup: could not install {ABSENT}; check the network and apt's configuration"
    assert not list(tmp_path.glob("tmp.*")), "the log is left behind"


def test_as_root_explains_its_use(user: Ordinary) -> None:
    assert said(user, AS_ROOT) == (64, f"usage: {user.directory}/as-root.sh COMMAND [ARGUMENT...]\n")


def test_root_runs_the_command_as_it_is() -> None:
    if os.geteuid():
        pytest.skip("these tests do not run as root")
    done = subprocess.run(
        [AS_ROOT, "sh", "-c", 'readlink /proc/self/ns/user; exit "$1"', "sh", "7"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (7, str(Path("/proc/self/ns/user").readlink()))


def test_a_user_without_ids_of_its_own_is_told_what_to_do(user: Ordinary) -> None:
    if not user.become:
        pytest.skip("only root can become a user that has no ids")
    assert said(user, AS_ROOT, "true") == (
        2,
        "as-root: this user may not make a user namespace with its own ids; run as root, or add ranges to /etc/subuid and /etc/subgid\n",
    )


def test_a_user_with_ids_of_its_own_is_root_and_tells_owners_apart(user: Ordinary) -> None:
    require("newuidmap", "unshare")
    if not user.become:
        pytest.skip("only root can give a user ids for the time of a test")
    ranges = user.directory / "ranges"
    ranges.write_text(RANGES)
    give = f'mount --bind {ranges} /etc/subuid && mount --bind {ranges} /etc/subgid && exec "$@"'
    act = 'id -u; touch file; chown 1500:1501 file; stat -c %u:%g file; exit "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", give, "sh", *user.become, user.directory / "as-root.sh", "sh", "-c", act, "sh", "7"],
        cwd=user.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "0\n1500:1501\n", "")
    assert (user.directory / "file").stat().st_uid == 100000 + 1500 - 1


def test_an_environment_that_cannot_be_made_is_said_in_one_sentence_and_not_there(tmp_path: Path) -> None:
    closed = {
        **os.environ,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": "",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
    }
    command = [str(REPOSITORY / "scripts" / "environment.sh"), "python3", str(tmp_path / "venv")]
    done = subprocess.run(command, cwd=REPOSITORY, env=closed, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("environment: could not install the packages of requirements.lock (")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "venv").exists()
