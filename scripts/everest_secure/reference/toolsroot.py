"""The tools that make images, in one version for everyone: a small Debian 13 root, entered with bubblewrap.

A plain chroot would not do: mkosi and systemd-repart need `/` to be a mount.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from everest_secure.errors import ProgramFailedError, ToolError
from everest_secure.reference.archive import KEYRING, RELEASE, Archive
from everest_secure.run import Argument, attempt, failure, is_installed, run
from everest_secure.space import require_space

PACKAGES = (
    "apt",
    "ca-certificates",
    "cpio",
    "cryptsetup-bin",  # veritysetup
    "dosfstools",
    "e2fsprogs",
    "erofs-utils",
    "kmod",
    "mkosi",
    "mtools",
    "openssl",
    "python3-pefile",  # ukify
    "rauc",
    "reprepro",  # mkosi's repository of local packages
    "sbsigntool",
    "squashfs-tools",
    "systemd-boot-efi",  # the UKI stub
    "systemd-container",
    "systemd-repart",
    "systemd-ukify",
    "zstd",
)
NEEDED_BYTES = 1 << 30
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "SYSTEMD_LOG_LEVEL": "warning"}
MERGED = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}


class ToolsRoot:
    """Programs of the tools root; a `everest_secure.run.Tools`."""

    def __init__(self, root: Path) -> None:
        """`root` is a directory made by `prepare`."""
        self.root = root

    def run(
        self,
        argv: Sequence[Argument],
        *,
        paths: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: bytes = b"",
    ) -> bytes:
        """See `everest_secure.run.Tools.run`; the program sees the tools root and `paths`, nothing else of this machine."""
        # As the environment of bwrap and not with --setenv: arguments can be read by every user of the machine, and this may hold a passphrase.
        environment = {**ENVIRONMENT, **_proxies(), **(env or {})}
        if shutil.which("bwrap", path=environment["PATH"]) is None:
            raise ToolError("the program 'bwrap' is not installed; install the Debian package bubblewrap and try again")
        done = attempt([*self._enter(paths, cwd), *argv], env=environment, inherit=False, stdin=stdin)
        if done.code:
            raise ProgramFailedError(failure(str(argv[0]), done.code, done.errors or done.output))
        return done.output

    def _enter(self, paths: Sequence[Path], cwd: Path | None) -> list[str]:
        """Return the command that enters the root with `paths` bound at their own names."""
        command = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--die-with-parent"]
        command += ["--ro-bind", f"{self.root}/usr", "/usr"]
        for link, target in MERGED.items():
            command += ["--symlink", target, f"/{link}"]
        command += ["--ro-bind", f"{self.root}/etc", "/etc", "--bind", f"{self.root}/var", "/var"]
        command += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/run", "--dir", "/root"]  # noqa: S108 - inside the sandbox
        for network in ("/etc/resolv.conf", "/etc/ssl/certs"):
            command += ["--ro-bind-try", network, network]
        for path in paths:
            command += ["--bind", str(path.resolve()), str(path.resolve())]
        if cwd is not None:
            command += ["--chdir", str(cwd.resolve())]
        return command


def _proxies() -> Mapping[str, str]:
    """Return the proxy settings of the caller, which apt in the root needs as well."""
    names = ("http_proxy", "https_proxy", "no_proxy")
    return {name: os.environ[name] for name in names if name in os.environ}


def digest() -> str:
    """Return what tells one tools root from another: release and packages, 12 hex digits."""
    return hashlib.sha256(" ".join((RELEASE, *PACKAGES)).encode()).hexdigest()[:12]


def prepare(cache: Path, archive: Archive) -> ToolsRoot:
    """Return the tools root below `cache`, made first when it is missing or its package list has changed (about 40 s, 320 MB).

    Raises ToolError when mmdebstrap is missing or the archive cannot be reached, UserError when the disk is too small.
    """
    final = cache / f"tools-{digest()}"
    if final.is_dir():
        return ToolsRoot(final)
    if not is_installed("mmdebstrap"):
        raise ToolError("the program 'mmdebstrap' is not installed; install the Debian package mmdebstrap and try again")
    require_space(cache, NEEDED_BYTES, "the tools root")
    for old in cache.glob("tools-*"):
        shutil.rmtree(old)
    making = final.with_name(f"{final.name}.new")
    sources = archive.sources()
    command: list[Argument] = ["mmdebstrap", "--mode=root", "--variant=apt", "--format=directory", "--skip=output/dev,output/mknod"]
    command += [f"--keyring={KEYRING}", f"--include={','.join(PACKAGES)}", RELEASE, making, "-"]
    try:
        run(command, stdin=sources.encode())
    except ToolError as error:
        shutil.rmtree(making, ignore_errors=True)
        raise ToolError(
            f"the tools root could not be made from the Debian archive {archive.main} ({error}); check the network and try again"
        ) from None
    making.rename(final)
    return ToolsRoot(final)
