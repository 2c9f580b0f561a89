"""Texts that nobody meant for the readers of a root file system: what they always return or one sentence, and soon; and what holds for any text."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree
from everest_secure.parse import loaders
from everest_secure.parse.build_lists import parse_buildinfo, parse_package_manifest, parse_vulnerabilities
from everest_secure.parse.cmdline import parse_cmdline
from everest_secure.parse.encryption import read_crypttab
from everest_secure.parse.everest_yaml import parse_everest_yaml
from everest_secure.parse.fstab import parse_fstab
from everest_secure.parse.hawkbit_conf import parse_hawkbit_config
from everest_secure.parse.journald_conf import read_journald_conf
from everest_secure.parse.kconfig import parse_kconfig
from everest_secure.parse.kernel_settings import written
from everest_secure.parse.modprobe import module_options, refused_modules
from everest_secure.parse.mounts import lasting, mount_of
from everest_secure.parse.networkd import read_networks
from everest_secure.parse.nft import parse_ruleset
from everest_secure.parse.nft_inbound import inbound
from everest_secure.parse.ocpp import parse_json
from everest_secure.parse.packages import parse_licences
from everest_secure.parse.repart import partitions
from everest_secure.parse.spdx import parse_spdx3
from everest_secure.parse.sysctl import normalised, parse_sysctl
from everest_secure.parse.timespan import seconds
from everest_secure.parse.tmpfiles import read_changes
from everest_secure.parse.topics import covers, parse_acl
from everest_secure.parse.udev_rules import authorisations
from everest_secure.parse.unit_file import parse_unit_file
from everest_secure.parse.unit_words import split_words
from everest_secure.parse.userdb import read_other_secrets
from everest_secure.parse.versions import compare, upstream
from everest_secure.parse.xml_text import parse_xml
from support.rootfs import RootFs


@dataclass(frozen=True)
class Reader:
    """Something that reads text, and words that it knows, separated by `|`."""

    read: Callable[[str], object]
    vocabulary: str


def of_file(path: str, read: Callable[[Tree], object]) -> Callable[[str], object]:
    """Read a root with one file."""
    return lambda text: read(RootFs().directory("/").file(path, text.encode("utf-8", "replace")).tree)


READERS = {
    "hawkbit": Reader(partial(parse_hawkbit_config, path="x"), "[client]|hawkbit_server|=|ssl|true|#"),
    "licences": Reader(partial(parse_licences, path="x"), "PACKAGE NAME: |PACKAGE VERSION: |RECIPE NAME: |LICENSE: |MIT|\n\n"),
    "SPDX 3": Reader(partial(parse_spdx3, where="x"), '{|}|[|]|"@graph"|:|,|"type"|"software_Package"|"name"|1'),
    "vulnerabilities": Reader(partial(parse_vulnerabilities, where="x"), '{|}|[|]|"package"|:|,|"issue"|"id"|"status"|"Unpatched"|1'),
    "package manifest": Reader(partial(parse_package_manifest, where="x"), "a| |all|1.0-r0|\n"),
    "build information": Reader(parse_buildinfo, "Layer Revisions:      |\n|meta|=|main:|0123456789| -- modified|DISTRO: "),
    "access list": Reader(partial(parse_acl, path="x"), "topic |pattern |user |read |write |readwrite |deny |a/#|+|%u|#"),
    "EVerest's YAML": Reader(partial(parse_everest_yaml, path="x"), "a|: |- |[|]|{|}|\"|'|&a|*a|<<|\n  |!!str|? |#|true|1"),
    "kernel configuration": Reader(lambda text: parse_kconfig(text.encode("utf-8", "replace"), artefact="x"), "CONFIG_A|=|y|n|m|\"|# |is not set|\n|1"),
    "sysctl": Reader(partial(parse_sysctl, path="x"), "net.ipv4.conf|/|.|*|=|-|#|;|[|]|!|1"),
    "time spans": Reader(seconds, "1|h|min| |s|.|infinity|us|999999999999|e"),
    "networkd": Reader(of_file("/etc/systemd/network/a.network", read_networks), "[Match]\n|[Network]\n|Name=|eth*|!|Type=|DHCP=|yes|\n"),
    "modprobe": Reader(of_file("/etc/modprobe.d/a.conf", lambda tree: (refused_modules(tree), list(module_options(tree)))), "install |blacklist |options |a|-|_|/bin/false|=|\\\n|#"),
    "udev": Reader(of_file("/etc/udev/rules.d/a.rules", lambda tree: (list(authorisations(tree)), list(written(tree)))), 'ATTR{authorized}|=|==|"1"|,|SYSCTL{a}|RUN+=|\\|"|{|}|\n|#'),
    "crypttab": Reader(of_file("/etc/crypttab", read_crypttab), "data|/dev/a|none|-|tpm2-device=auto|,|\t|#|\n"),
    "repart": Reader(of_file("/etc/repart.d/a.conf", lambda tree: list(partitions(tree))), "[Partition]\n|Type=|root|Encrypt=|tpm2|SizeMinBytes=|1G|\n"),
    "bus policy": Reader(partial(parse_xml, path="x"), "<busconfig>|</busconfig>|<policy |user=\"a\"|/>|<allow own=\"a\"/>|&|<!--|-->|<![CDATA["),
    "JSON": Reader(partial(parse_json, where="x"), '{|}|[|]|"a"|:|,|1|-|e9|null|true|\\u0000|NaN'),
    "version": Reader(lambda text: (compare(text, "1.0"), upstream(text)), "1|.|-r0|~|+|:|a"),
    "user records": Reader(of_file("/etc/userdb/a.user", lambda tree: list(read_other_secrets(tree))), '{|}|"userName"|:|"privileged"|,|[|]'),
    "journal": Reader(of_file("/etc/systemd/journald.conf", read_journald_conf), "[Journal]\n|Storage=|persistent|SystemMaxUse=|1G|%|\n"),
    "tmpfiles of a path": Reader(of_file("/etc/tmpfiles.d/a.conf", lambda tree: list(read_changes(tree, "/var/lib/a"))), "d |z |/var/lib/|*|[a-|]|?|0755|root|-|~|\n"),
    "systemd-boot": Reader(loaders.systemd_boot_settings, "editor |no|timeout |0|\n|#"),
    "GRUB": Reader(loaders.grub_settings, "set |superusers=|\"a\"|password_pbkdf2 |timeout=|0|\\\n|'|{|}|;"),
    "extlinux": Reader(loaders.extlinux_settings, "PROMPT |TIMEOUT |MENU |0|\n|#"),
}  # fmt: skip
LONG = ("a", " ", "\\", '"', "'", "[", "{", "<", "=", "A", "A{", 'A="', 'A{a}=="b",', "a: ", "- ", '{"a":', "1h ", "a.", "~", "\n", "#\n", "\\\n", "a=\\\n", "topic a/", "+/", "%", "é", "<a>", "&a", "[Match]\nName=a\n", "*", "[!", "\t")  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_any_text_is_read_or_a_sentence(name: str, data: st.DataObject) -> None:
    reader = READERS[name]
    words = st.lists(st.sampled_from([*reader.vocabulary.split("|"), "\n"]) | st.text(max_size=3), max_size=40)
    with suppress(ArtefactError):
        reader.read("".join(data.draw(words)))


@pytest.mark.parametrize("name", READERS)
def test_long_repetitions_take_no_time_that_grows_with_their_square(name: str) -> None:
    """The limit is the test's own: at a square, each of these would take minutes."""
    for piece in LONG:
        with suppress(ArtefactError):
            READERS[name].read(piece * (50_000 // len(piece)))


ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\0": "", "\r": "\\r"}


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10), max_size=6))
def test_words_that_are_quoted_are_the_words_again(words: list[str]) -> None:
    quoted = " ".join('"' + "".join(ESCAPES.get(letter, letter) for letter in word) + '"' for word in words)
    assert list(split_words(quoted)) == words


NAMES = st.text("abcXYZ.-@", min_size=1, max_size=8)
LINE = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="\\"), min_size=1, max_size=12)


@given(st.lists(st.tuples(NAMES, NAMES, LINE), max_size=8))
def test_a_unit_that_is_written_as_it_was_read_is_the_same(given_: list[tuple[str, str, str]]) -> None:
    text = "".join(f"[{section}]\n{key}={value}\n" for section, key, value in given_)
    assert [(each.section, each.key, each.value) for each in parse_unit_file(text, "x")] == given_


@given(
    st.lists(st.tuples(st.text("/abc \t\\", min_size=1, max_size=8), st.sampled_from(["/", "/var", "/var/lib", "/var lib"])), max_size=6)
)
def test_mounts_with_any_names_come_back_from_fstab(mounts: list[tuple[str, str]]) -> None:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011")

    found = parse_fstab("".join(f"{escaped(device)} {escaped(where)} ext4 ro 0 0\n" for device, where in mounts))
    assert [(each.what, each.where) for each in found] == mounts
    for path in ("/var/lib/a", "/var", "/usr"):
        holding = mount_of(path, found)
        assert holding is None or path.startswith(holding.where)
        lasting(path, found)


@given(st.text("abc./*-", max_size=20).map("k{}".format))
def test_a_key_of_sysctl_is_normal_once_and_for_all(key: str) -> None:
    assert normalised(normalised(key)) == normalised(key)


TOPICS = st.lists(st.sampled_from(["a", "b", "+", "#", ""]), min_size=1, max_size=4).map(
    lambda parts: "/".join(part for number, part in enumerate(parts) if part != "#" or number == len(parts) - 1)
)


@given(TOPICS, TOPICS, TOPICS)
def test_what_covers_a_topic_covers_what_that_covers(one: str, two: str, three: str) -> None:
    if covers(one, two) and covers(two, three):
        assert covers(one, three)


@given(st.integers(0, 10_000), st.integers(0, 59), st.integers(0, 59))
def test_a_time_span_is_the_sum_of_its_parts(hours: int, minutes: int, rest: int) -> None:
    assert seconds(f"{hours}h {minutes}min {rest}s") == seconds(f"{hours}h{minutes}min{rest}") == hours * 3600 + minutes * 60 + rest


@given(st.text('ab=_-" ', max_size=30), st.sampled_from(["ro", "rw"]))
def test_the_last_word_on_the_root_counts(text: str, last: str) -> None:
    before = text if text.count('"') % 2 == 0 else text + '"'
    if "--" not in before.split():
        assert parse_cmdline(f"{before} {last}").root_read_only is (last == "ro")


RULES = st.sampled_from(["tcp dport 22 accept", "udp dport 5-9 accept", "iifname eth0 accept", "iifname eth1 tcp dport { 22, 80 } drop", "ct state new tcp dport 443 accept", "ip saddr 10.0.0.1 drop", "meta l4proto icmp accept"])  # fmt: skip


@settings(max_examples=20)
@given(st.lists(RULES, max_size=6))
def test_one_more_rule_that_accepts_never_closes_a_port(rules: list[str]) -> None:
    def ports(*lines: str) -> dict[str, set[str]]:
        text = "\n".join(("table inet f {", "chain input {", "type filter hook input priority 0; policy drop", *lines, "}", "}"))
        return {name: _each(found.allowed) for name, found in inbound(parse_ruleset(text, "x"), ("eth0", "eth1")).items()}

    fewer, more = ports(*rules), ports(*rules, "tcp dport 20-100 accept")
    assert all(open_ <= more[name] for name, open_ in fewer.items())
    assert ports(*rules, *rules) == fewer


def _each(allowed: tuple[str, ...]) -> set[str]:
    found = set()
    for word in allowed:
        kind, _, numbers = word.partition("/")
        first, _, last = numbers.partition("-")
        found |= {f"{kind}/{port}" for port in range(int(first), int(last or first) + 1)} if first else {kind}
    return found
