import gzip
import subprocess
from collections.abc import Callable

import pytest

from everest_secure import checks
from everest_secure.checks.core import Boot, Bundle, Outcome, Scope, registered, run_check
from everest_secure.image.artefact import Artefact
from everest_secure.image.tree import Node, NodeType
from support.authority import issue
from support.elf import Program
from support.mutation import Mutation, check_mutation, sentence
from support.rootfs import UNITS, RootFs, failing, good_root, production

CONFIG = "/etc/everest/config.yaml"
KEY = issue("anyone").key_pem
TPM_KEY = "-----BEGIN TSS2 PRIVATE KEY-----\nMIHyBgZngQUKAQOgAwEBAQIEQAAAAQRYAFYAIwALAAYEcgAAABAAEAADABAA\n-----END TSS2 PRIVATE KEY-----\n"


def der(*arguments: str) -> bytes:
    """The key in DER, as openssl writes it."""
    return subprocess.run(["openssl", *arguments, "-outform", "DER"], input=KEY.encode(), capture_output=True, check=True).stdout


def device_node(fs: RootFs) -> None:
    fs.nodes["/opt/mem"] = (Node("/opt/mem", NodeType.CHARACTER, 0o600, 1500, 1500, 0), b"")


def writable(fs: RootFs, options: str, where: str = "/") -> None:
    fs.kind = "ext4"
    fs.file("/etc/fstab", f"/dev/root {where} auto {options} 1 1\n")


def without(option: str) -> Callable[[RootFs], object]:
    return lambda fs: fs.replace(f"{UNITS}/var.mount", f"{option},?", "")


def holding(text: str) -> Callable[[RootFs], object]:
    return lambda fs: fs.file("/usr/share/x", text)


def mounted(line: str) -> Callable[[RootFs], object]:
    return lambda fs: fs.file("/etc/fstab", f"{line} 0 0\n")


MUTATIONS = [
    Mutation(
        "a later rule opens a directory of the store to everyone",
        "CERT-01",
        lambda fs: fs.file("/etc/tmpfiles.d/z.conf", "Z /var/lib/everest/certs 0777 root root -\n"),
    ),
    Mutation("the root is called // in fstab", "FS-01", lambda fs: writable(fs, "rw", where="//")),
    Mutation(
        "a later option allows programs on the data partition",
        "FS-03",
        lambda fs: fs.replace(f"{UNITS}/var.mount", "^(Options=.*)$", r"\1,exec"),
    ),
    Mutation(
        "a device below the data partition may hold programs",
        "FS-03",
        lambda fs: fs.file("/etc/fstab", "/dev/x /var/lib/everest ext4 nodev,nosuid 0 0\n"),
    ),
    *(
        Mutation(what, "FS-03", mounted(line))
        for what, line in {
            "programs of a device without a hash tree may be run": "PARTLABEL=apps /opt squashfs ro",
            "programs of a server may be run": "server:/apps /mnt nfs nodev,nosuid",
            "an overlay runs what lies on the data partition": "overlay /opt overlay lowerdir=/opt,upperdir=/var/o/u,workdir=/var/o/w",
            "a device is mounted when it is first used": "/dev/x /media ext4 noauto,x-systemd.automount",
            "a device is mounted with another unit": "/dev/x /media ext4 noauto,x-systemd.wanted-by=multi-user.target",
            "a bind mount lets programs of the data partition be run": "/var/lib/apps /opt none bind,nosuid,exec",
        }.items()
    ),
    Mutation(
        "a unit mounts a device when it is first used",
        "FS-03",
        lambda fs: (
            fs.file(f"{UNITS}/opt.mount", "[Mount]\nWhat=/dev/x\nWhere=/opt\n")
            .file(f"{UNITS}/opt.automount", "[Automount]\nWhere=/opt\n")
            .link("/etc/systemd/system/local-fs.target.wants/opt.automount", f"{UNITS}/opt.automount")
        ),
    ),
    Mutation("a device node lies outside /dev", "FS-05", device_node),
    Mutation(
        "the password of keys is in EVerest's configuration",
        "FS-06",
        lambda fs: fs.replace(CONFIG, "module: EvseSecurity", "module: EvseSecurity\n    config_module: {private_key_password: x}"),
        also=("TLS-01",),  # the manifest of the test's EvseSecurity has no such key
    ),
    Mutation("a private key is in DER", "FS-06", lambda fs: fs.file("/usr/share/x", der("pkcs8", "-topk8", "-nocrypt"))),
    Mutation(
        "an encrypted private key is in DER", "FS-06", lambda fs: fs.file("/usr/share/x", der("pkcs8", "-topk8", "-passout", "pass:x"))
    ),
    Mutation("a private key is in the old DER", "FS-06", lambda fs: fs.file("/usr/share/x", der("pkey", "-traditional"))),
    Mutation(
        "a private key is compressed",
        "FS-06",
        lambda fs: fs.file("/usr/share/x", gzip.compress(b"x" * 3_000_000) + gzip.compress(KEY.encode())),
    ),
    Mutation("fstab mounts the root for writing", "FS-01", lambda fs: writable(fs, "defaults")),
    Mutation("the last of two options makes the root writable", "FS-01", lambda fs: writable(fs, "ro,rw")),
    Mutation("a file is writable by everyone", "FS-05", lambda fs: fs.file("/usr/bin/tool", mode=0o757)),
    Mutation("a listed directory is not sticky", "FS-05", lambda fs: fs.chmod("/tmp", 0o777)),
    Mutation("a program is setuid", "FS-05", lambda fs: fs.file("/usr/bin/su", mode=0o4755)),
    Mutation("a program is setgid", "FS-05", lambda fs: fs.file("/usr/bin/wall", mode=0o2755)),
    Mutation(
        "a program carries file capabilities",
        "FS-05",
        lambda fs: fs.file("/usr/bin/ping", mode=0o755, xattrs={"security.capability": b"\1\0\0\2"}),
    ),
    Mutation("a file belongs to a user that does not exist", "FS-05", lambda fs: fs.file("/usr/share/x", "x", uid=1000)),
    Mutation("a file belongs to a group that does not exist", "FS-05", lambda fs: fs.file("/usr/share/x", "x", gid=1000)),
    Mutation("a private key has an innocent name", "FS-06", lambda fs: fs.file("/usr/share/doc/readme.txt", "text\n" + KEY)),
    Mutation(
        "a private key lies across the seam of two pieces",
        "FS-06",
        lambda fs: fs.file("/usr/share/big", b"x" * ((1 << 20) - 10) + KEY.encode()),
    ),
    Mutation("a private key is inside a program", "FS-06", lambda fs: fs.file("/usr/bin/tool", b"\x7fELF\0" + KEY.encode())),
    Mutation(
        "a PKCS#12 store has an innocent name", "FS-06", lambda fs: fs.file("/usr/share/x.bin", bytes.fromhex("308209f102010330820937"))
    ),
    Mutation("a Java key store is there", "FS-06", lambda fs: fs.file("/usr/share/x.bin", bytes.fromhex("feedfeed0000000200000001"))),
    *(
        Mutation(f"a {name} key is there", "FS-06", holding(f"[Interface]\n{text}\n"))
        for name, text in {
            "WireGuard": "Address = 10.0.0.2\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=",
            "systemd-networkd": "PrivateKey=yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=",
            "shared WireGuard": "PresharedKey = FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=\r",
            "static OpenVPN": "<tls-auth>\n-----BEGIN OpenVPN Static key V1-----\n6acef03f62675b4b1bbd03e53b187727\n",
            "client's OpenVPN": "-----BEGIN OpenVPN tls-crypt-v2 client key-----\npkSiXhkT3nTpXDpBvMhE2wRGlPkxjZnM\n",
        }.items()
    ),
    Mutation("a list of passwords is there", "FS-06", lambda fs: fs.file("/usr/share/x/LEAF_PASSWORD.txt", "x")),
    Mutation("a source repository is there", "FS-06", lambda fs: fs.file("/usr/share/x/.git/HEAD", "ref: main")),
    Mutation(
        "a script names the build",
        "FS-06",
        lambda fs: fs.file("/usr/bin/x", "PATH=/build/tmp/work/core2-64-poky-linux/everest/1.0-r0/image/usr\n"),
    ),
    Mutation(
        "a file names the build behind its first megabyte",
        "FS-06",
        lambda fs: fs.file("/usr/share/x", "x" * 3_000_000 + "/build/tmp/work/core2-64-poky-linux/everest/1.0-r0/image/usr\n"),
    ),
    Mutation(
        "the data partition is not mounted",
        "FS-03",
        lambda fs: fs.remove("/etc/systemd/system/local-fs.target.requires"),
        also=("RAUC-01", "RAUC-06", "CERT-01", "LOG-02"),
    ),
    *(
        Mutation(
            f"the data partition is mounted without {option}",
            "FS-03",
            without(option),
        )
        for option in ("nodev", "nosuid", "noexec")
    ),
    Mutation(
        "/var is a tmpfs", "FS-03", lambda fs: fs.replace(f"{UNITS}/var.mount", "ext4", "tmpfs"), also=("RAUC-01", "CERT-01", "LOG-02")
    ),
    Mutation(
        "a module writes to its default below /tmp",
        "FS-03",
        lambda fs: fs.replace("/etc/everest/config.yaml", "^ *MessageLogPath: .*$", ""),
        also=("LOG-01",),
    ),
    Mutation(
        "a module writes to a relative path",
        "FS-03",
        lambda fs: fs.replace("/etc/everest/config.yaml", "/var/lib/everest/persistent", "persistent"),
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


def test_a_good_root_satisfies_every_requirement_that_is_checked() -> None:
    assert failing(good_root()) == {}


def test_every_check_of_a_good_root_has_seen_something_or_says_why_it_does_not_concern_it() -> None:
    failing(good_root())
    root = good_root().root
    results = [run_check(entry, root, "rootfs", production()) for entry in registered() if entry.scope.name == "ROOT"]
    assert {result.outcome for result in results} <= {Outcome.PASS, Outcome.NOT_APPLICABLE}
    assert all(result.seen or result.reason for result in results)
    assert {result.check for result in results if result.outcome is Outcome.NOT_APPLICABLE} == {
        "keys are readable by their owner alone",
        "roots and chains are in files of their own",
        "certificates are valid and strong",
        "no certificate is for tests",
        "the certificate towards the csms says who the charger is",
        "certificate requests carry the names of the policy",
        "libocpp knows every key of ocpp 1 6",
        "polkit lets no service act as root",
        "the data partition is encrypted with a key of the tpm",
        "the key of the data partition is bound to the boot chain",
        "nothing of the data lies beside the encrypted volume",
        "clients of the mqtt api show a certificate",
        "access list grants topics of the api only",
        "bridges carry topics of the api only",
        "mqtt api is off until asked for and ends by itself",
        "updater and server know each other by tls with a key in the tpm",
        "logs of crashes are taken out of the firmware",
        "every component has a slot",
        "device decrypts bundles with a key in the tpm",
    }


def test_what_shows_only_the_root_the_kernel_or_memory_may_be_mounted_anyhow() -> None:
    lines = (
        "proc /proc proc defaults",
        "tmpfs /run/x tmpfs defaults",
        "/usr/share/x.squashfs /opt squashfs loop,ro",
        "/usr/share/x /srv none bind,exec",
        "/var/lib/x /home none bind",
        "overlay /etc/x overlay lowerdir=/etc/x:/usr/share/x",
        "/dev/x /mnt ext4 noauto",
        "/dev/y /boot vfat nodev,nosuid,noexec,noauto,x-systemd.automount",
    )
    assert not failing(good_root().file("/etc/fstab", "".join(f"{line} 0 0\n" for line in lines)))


def test_a_tpm_key_is_no_secret() -> None:
    fs = good_root()
    fs.file("/usr/share/tpm.pem", TPM_KEY)
    assert not failing(fs)


def test_a_program_that_only_names_the_header_of_a_key_holds_none() -> None:
    fs = good_root()
    fs.file("/etc/wireguard/wg0.conf", "PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n#PrivateKey = none\n")
    fs.file("/usr/sbin/openvpn", Program().content + b"\0-----BEGIN OpenVPN Static key V1-----\0PrivateKey = \0PresharedKey\0")
    fs.file("/usr/lib/libcrypto.so", Program().content + b"\0-----BEGIN PRIVATE KEY-----\0-----BEGIN RSA PRIVATE KEY-----\n\0")
    assert not failing(fs)


def test_read_only_in_fstab_is_enough_for_a_file_system_that_could_be_written() -> None:
    fs = good_root()
    writable(fs, "rw,ro")
    assert not failing(fs)


def test_many_findings_of_one_kind_are_cut_short() -> None:
    fs = good_root()
    for number in range(100):
        fs.file(f"/usr/share/{number:03}", "x", mode=0o666)
    found = failing(fs)["FS-05"]
    assert len(found) == 21
    assert found[-1] == "80 more of the same kind"


def test_a_disk_without_any_boot_entry_is_an_error() -> None:
    boot = Boot(Artefact("disk.raw", "gpt"), ())
    entries = [entry for entry in registered() if entry.scope.name == "BOOT"]
    results = {entry.requirement: run_check(entry, boot, "disk.raw", production()).outcome for entry in entries}
    assert results["FS-01"] is Outcome.ERROR
    assert results["FS-02"] is Outcome.ERROR
    assert results["BOOT-03"] is Outcome.ERROR


@pytest.mark.parametrize("scope", [Scope.BOOT, Scope.BUNDLE])
@pytest.mark.parametrize(
    ("kind", "path", "content", "outcome"),
    [
        ("vfat", "/provisioning.pem", KEY, Outcome.FAIL),
        ("cpio", "/etc/wireguard/wg0.conf", "PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n", Outcome.FAIL),
        ("ext4", "/lib/everest/certs/x.p12", "x", Outcome.FAIL),
        ("ext4", "/lib/everest/certs/tpm.pem", TPM_KEY, Outcome.PASS),
        ("cpio", "/usr/lib/libgnutls.so.30", KEY, Outcome.PASS),
        ("vfat", "/EFI/Linux/a.efi", KEY, Outcome.PASS),
        ("squashfs", "/root.img", KEY, Outcome.PASS),
    ],
)
def test_a_secret_beside_the_root_is_found_once(scope: Scope, kind: str, path: str, content: str, outcome: Outcome) -> None:
    """What is opened is judged by itself: the initial RAM disk of a UKI, an image in a bundle."""
    other = Artefact("artefact:other", kind, tree=RootFs().file(path, content).tree)
    opened = (Artefact("artefact:other:/EFI/Linux/a.efi", "uki"), Artefact("artefact:root.img", "ext4", tree=good_root().tree))
    container = Artefact("artefact", "gpt", children=(other, *opened))
    checks.load()
    (entry,) = [each for each in registered() if each.requirement == "FS-06" and each.scope is scope]
    subject = Boot(container, ()) if scope is Scope.BOOT else Bundle(container, ())
    result = run_check(entry, subject, "artefact", production())
    assert (result.outcome, len(result.findings)) == (outcome, int(outcome is Outcome.FAIL))
