import gzip
import lzma
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from everest_secure import checks
from everest_secure.checks.core import Boot, Bundle, Outcome, Root, Scope, registered, run_check
from everest_secure.checks.kern_opinion import PROGRAM, in_a_sentence, second_opinion
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.image.companions import Companion, CompanionKind
from everest_secure.parse.kconfig import parse_kconfig
from everest_secure.parse.kernel_modules import MAGIC
from everest_secure.result import CheckResult
from support.images import unified_kernel
from support.kernel import configuration
from support.mutation import Mutation, check_mutation, sentence
from support.rootfs import KERNEL_CONFIG, MODULES, RootFs, failing, good_root, outcomes, production


def changed(option: str, line: str) -> Mutation:
    pattern = rf"^(?:CONFIG_{option}=.*|# CONFIG_{option} is not set)$"
    requirement = "KERN-02" if option in {"DM_VERITY", "NF_TABLES", "TCG_TPM", "BLK_DEV_LOOP", "CGROUP_BPF"} else "KERN-01"
    return Mutation(f"the kernel has {line}", requirement, lambda fs: fs.replace(KERNEL_CONFIG, pattern, line))


MUTATIONS = [
    changed("DEVMEM", "CONFIG_DEVMEM=y"),
    changed("KEXEC_FILE", "CONFIG_KEXEC_FILE=y"),
    changed("LOCK_DOWN_KERNEL_FORCE_INTEGRITY", "# CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY is not set"),
    changed("LSM", 'CONFIG_LSM="landlock,yama"'),
    changed("MODULE_SIG_FORCE", "# CONFIG_MODULE_SIG_FORCE is not set"),
    changed("STRICT_KERNEL_RWX", ""),
    changed("INIT_ON_FREE_DEFAULT_ON", "# CONFIG_INIT_ON_FREE_DEFAULT_ON is not set"),
    changed("HARDENED_USERCOPY", "# CONFIG_HARDENED_USERCOPY is not set"),
    changed("SLAB_FREELIST_HARDENED", "# CONFIG_SLAB_FREELIST_HARDENED is not set"),
    changed("PANIC_ON_OOPS", "# CONFIG_PANIC_ON_OOPS is not set"),
    changed("PANIC_TIMEOUT", "CONFIG_PANIC_TIMEOUT=0"),
    changed("DEFAULT_MMAP_MIN_ADDR", "CONFIG_DEFAULT_MMAP_MIN_ADDR=0"),
    changed("IA32_EMULATION", "CONFIG_IA32_EMULATION=y"),
    changed("DM_VERITY", "# CONFIG_DM_VERITY is not set"),
    changed("NF_TABLES", ""),
    changed("TCG_TPM", "# CONFIG_TCG_TPM is not set"),
    changed("BLK_DEV_LOOP", "# CONFIG_BLK_DEV_LOOP is not set"),
    changed("CGROUP_BPF", "# CONFIG_CGROUP_BPF is not set"),
    Mutation("a kernel module is not signed", "KERN-01", lambda fs: fs.file(f"{MODULES}/updates/b.ko", b"\x7fELF" + bytes(99))),
    Mutation(
        "a compressed kernel module is not signed", "KERN-01", lambda fs: fs.file(f"{MODULES}/updates/b.ko.xz", lzma.compress(bytes(999)))
    ),
    Mutation("a module was stripped after it was signed", "KERN-01", lambda fs: fs.file(f"{MODULES}/kernel/c.ko", MAGIC + b"\n")),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


@pytest.mark.parametrize("place", [f"/boot/config-{MODULES.rsplit('/', 1)[-1]}", f"{MODULES}/build/.config"])
def test_the_configuration_is_found_where_others_put_it(place: str) -> None:
    fs = good_root().remove(KERNEL_CONFIG).file(place, configuration())
    assert failing(fs) == {}
    assert set(failing(fs.replace(place, "^# CONFIG_DEVMEM is not set$", "CONFIG_DEVMEM=y"))) == {"KERN-01"}


def test_the_configuration_is_found_in_the_module_that_carries_it() -> None:
    module = b"\x7fELF" + bytes(100) + b"IKCFG_ST" + gzip.compress(configuration().encode()) + b"IKCFG_ED" + MAGIC
    fs = good_root().remove(KERNEL_CONFIG).file(f"{MODULES}/kernel/kernel/configs.ko.gz", gzip.compress(module))
    assert failing(fs) == {}


def test_every_kernel_of_a_root_is_looked_at() -> None:
    fs = good_root().file("/usr/lib/modules/6.1/config", configuration().replace("# CONFIG_DEVMEM is not set", "CONFIG_DEVMEM=y"))
    assert list(failing(fs)) == ["KERN-01"]


def test_a_root_that_says_nothing_of_its_kernel_is_an_error_and_never_a_pass() -> None:
    found = failing(good_root().remove(KERNEL_CONFIG))
    assert {"KERN-01", "KERN-02"} <= set(found)
    assert all(wrong[0].startswith("error: ") for wrong in found.values())


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_configuration_is_an_error_and_never_a_pass(text: str) -> None:
    assert failing(good_root().file(KERNEL_CONFIG, text))["KERN-02"][0].startswith("error: ")


def test_an_exception_is_shown_with_its_reason_and_whether_it_is_still_needed() -> None:
    fs = good_root().replace(KERNEL_CONFIG, "^# CONFIG_DEVMEM is not set$", "CONFIG_DEVMEM=y")
    policy = replace(production(), kernel_exceptions={"DEVMEM": "a meter of 1990", "KEXEC": "once needed"})
    assert outcomes(fs, policy)["KERN-01"] == ()
    seen = " ".join(result(fs, "KERN-01", policy=policy).seen)
    assert "the rule for DEVMEM is excepted and does not hold: a meter of 1990" in seen
    assert "the rule for KEXEC is excepted and holds without it: once needed" in seen


def test_a_policy_without_signed_modules_looks_at_none() -> None:
    fs = good_root().file(f"{MODULES}/updates/b.ko", bytes(99))
    assert outcomes(fs, replace(production(), kernel_exceptions={"MODULE_SIG": "why"}))["KERN-01"] == ()


def test_modules_of_every_compression_are_known_to_be_signed() -> None:
    module = bytes(999) + MAGIC
    fs = good_root().file(f"{MODULES}/kernel/d.ko.gz", gzip.compress(module)).file(f"{MODULES}/kernel/e.ko.xz", lzma.compress(module))
    assert failing(fs.file(f"{MODULES}/kernel/f.ko.zst", zstandard.compress(module))) == {}


def test_the_configuration_in_the_kernel_of_the_disk_speaks_for_a_root_without_one(tmp_path: Path) -> None:
    def container(text: str) -> Artefact:
        kernel = bytes(4096) + b"IKCFG_ST" + gzip.compress(text.encode()) + b"IKCFG_ED"
        uki = open_artefact(unified_kernel(tmp_path / "a.efi", {".linux": kernel}))
        return Artefact("disk", "gpt", children=(uki, replace(uki, name="b.efi")))

    fs = good_root().remove(KERNEL_CONFIG)
    assert result(fs, "KERN-01", container=container(configuration())).outcome is Outcome.PASS
    broken = result(fs, "KERN-01", container=container(configuration().replace("# CONFIG_DEVMEM is not set", "CONFIG_DEVMEM=y")))
    assert (broken.outcome, len(broken.findings), broken.findings[0].at.artefact) == (Outcome.FAIL, 1, "a.efi:.linux")


def test_what_the_build_left_speaks_where_the_image_is_silent_and_only_there(tmp_path: Path) -> None:
    file = tmp_path / "kernel-config-qemux86-64"
    file.write_text(configuration().replace("# CONFIG_DEVMEM is not set", "CONFIG_DEVMEM=y"))
    container = Artefact("disk", "gpt", companions=(Companion(CompanionKind.KERNEL_CONFIG, file),))
    assert result(good_root(), "KERN-01", container=container).outcome is Outcome.PASS
    (finding,) = result(good_root().remove(KERNEL_CONFIG), "KERN-01", container=container).findings
    assert finding.at.artefact == file.name


def result(fs: RootFs, requirement: str, *, container: Artefact | None = None, policy: object = None) -> CheckResult:
    checks.load()
    root = fs.root
    subject = Root(root.artefact, root.tree, container or root.container)
    entry = next(each for each in registered() if each.requirement == requirement and each.scope is Scope.ROOT)
    return run_check(entry, subject, "rootfs", policy or production())  # type: ignore[arg-type]  # only Parameters are given


def test_kernel_hardening_checker_is_heard_where_it_is_installed() -> None:
    if shutil.which(PROGRAM) is None:
        assert second_opinion(parse_kconfig(configuration().encode(), artefact="a")) == ""
        pytest.skip(f"{PROGRAM} is not installed")
    said = second_opinion(parse_kconfig(configuration().encode(), artefact="a"))
    assert said.startswith(f"{PROGRAM} approves of ")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            b'[{"option_name": "CONFIG_BUG", "type": "kconfig", "check_result": "OK", "check_result_bool": true},'
            b' {"option_name": "CONFIG_WERROR", "type": "kconfig", "check_result": "FAIL", "check_result_bool": false}]',
            f"{PROGRAM} approves of 1 of 2 options; not of WERROR",
        ),
        (b"[[1]]", f"{PROGRAM} was not heard: its answer is no list of verdicts"),
        (b"3", f"{PROGRAM} was not heard: its answer is no list of verdicts"),
        (b"", f"{PROGRAM} was not heard: its answer is no list of verdicts"),
    ],
)
def test_the_verdicts_of_kernel_hardening_checker_are_summed_up_in_a_sentence(output: bytes, expected: str) -> None:
    assert in_a_sentence(output) == expected


@pytest.mark.parametrize("scope", [Scope.BOOT, Scope.BUNDLE])
@pytest.mark.parametrize(
    ("version", "modules", "outcome"),
    [
        ("6.6.144", True, Outcome.PASS),
        ("6.6.143", True, Outcome.FAIL),
        ("6.6.143", False, Outcome.PASS),
        ("", True, Outcome.PASS),
        (None, True, Outcome.NOT_APPLICABLE),
    ],
)
def test_a_kernel_of_another_build_finds_no_modules_and_has_not_the_judged_configuration(
    tmp_path: Path, scope: Scope, version: str | None, *, modules: bool, outcome: Outcome
) -> None:
    checks.load()
    (entry,) = [each for each in registered() if each.requirement == "KERN-02" and each.scope is scope]
    fs = good_root() if modules else good_root().remove("/usr/lib/modules")
    sections = {".linux": b"kernel"} | ({".uname": version.encode()} if version else {})
    ukis = () if version is None else (open_artefact(unified_kernel(tmp_path / "a.efi", sections)),)
    container = Artefact("artefact", "gpt", children=(*ukis, fs.root.artefact))
    subject = Boot(container, (fs.root,)) if scope is Scope.BOOT else Bundle(container, ())
    assert run_check(entry, subject, "artefact", production()).outcome is outcome
