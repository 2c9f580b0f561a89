"""Accounts, units, rules and configurations that nobody meant: each parser returns what it always returns, or ends in one sentence, and soon."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everest_secure.errors import ArtefactError
from everest_secure.image.manifest import Manifest, parse_manifest
from everest_secure.keyfile import KeyFile, parse_keyfile
from everest_secure.parse import accounts, nft_command
from everest_secure.parse.certificates import parse_certificates
from everest_secure.parse.cmdline import CommandLine, parse_cmdline
from everest_secure.parse.commands import expanded, program, separated
from everest_secure.parse.dbus_policy import may_call, read_bus_policy
from everest_secure.parse.environment import parse_environment_file
from everest_secure.parse.everest_config import Module
from everest_secure.parse.fstab import parse_fstab
from everest_secure.parse.generated import init_scripts, rc_local
from everest_secure.parse.modprobe import blacklisted_modules, module_options, refused_modules
from everest_secure.parse.mosquitto import BrokerConfig, parse_broker_config
from everest_secure.parse.nft import parse_ruleset
from everest_secure.parse.nft_inbound import inbound
from everest_secure.parse.ocpp_mappings import read_mappings
from everest_secure.parse.openssl_cnf import OpensslConfig, parse_openssl_config
from everest_secure.parse.packages import parse_recipes, parse_status, read_packages
from everest_secure.parse.pam import parse_pam
from everest_secure.parse.rate_limit import read_rate_limit, unit_rate_limit
from everest_secure.parse.rauc_conf import RaucConfig, parse_rauc_config
from everest_secure.parse.security_events import event_sources
from everest_secure.parse.tmpfiles import read_ages, read_cleaning, read_directories, read_links, read_removals
from everest_secure.parse.udev_rules import wanted_by_devices
from everest_secure.parse.unit_file import boolean, parse_unit_file, words
from everest_secure.parse.unit_graph import bus_services, preset_for, read_presets, starts
from everest_secure.parse.units import Units
from everest_secure.parse.userdb import read_other_secrets
from support.rootfs import RootFs, layer


def made_of(vocabulary: str) -> st.SearchStrategy[str]:
    """Texts of a parser's own words, separated by `|` here, with a few letters of any kind between them."""
    return st.lists(st.sampled_from([*vocabulary.split("|"), "\n", " ", "\\\n"]) | st.text(max_size=3), max_size=40).map("".join)


@dataclass(frozen=True)
class Parser:
    """A parser of text, what it returns, and words that it knows."""

    name: str
    parse: Callable[[str], object]
    kind: type
    vocabulary: str


def _openssl(text: str) -> object:
    found = parse_openssl_config(text, "x", include=lambda name: [(name, text)] if "loop" in name else [], environment={"HOME": "/"})
    assert found.tls_defaults() is not None
    assert isinstance(found.providers(), tuple)
    return found


def _ruleset(text: str) -> object:
    rules = parse_ruleset(text, "x", include=lambda name: [(name, text)] if "loop" in name else [])
    return inbound(rules, ("eth0", "lo"))


def _tmpfiles(text: str) -> object:
    return read_directories(RootFs().file("/etc/tmpfiles.d/x.conf", text.encode("utf-8", "surrogatepass")).tree)


def _shell(text: str) -> object:
    found = [list(expanded(command)) for command in separated(tuple(text.split(" "))) if command]
    for commands in found:
        for command in commands:
            program(command)
            nft_command.parse_nft(command)
    return found


ACCOUNT = "root|:|x|*|!|0|1500|/bin/false|,|99999999999|-1|+"
GROUPED = "[system]|[keyring]|[slot.rootfs.0]|[handlers]|compatible=|bootloader=|efi|path=|device=|bundle-formats=|=|;|#|[|]|parent=|bootname=|crypt|-plain|+verity"
PARSERS = [
    Parser("passwd", accounts.parse_passwd, tuple, ACCOUNT),
    Parser("shadow", accounts.parse_shadow, tuple, ACCOUNT),
    Parser("group", accounts.parse_group, tuple, ACCOUNT),
    Parser("gshadow", accounts.parse_gshadow, tuple, ACCOUNT),
    Parser("fstab", parse_fstab, tuple, "/dev/root|/|ext4|ro,noexec|0|\\040|#|bind|none|tmpfs|\\|\\777"),
    Parser("pam", partial(parse_pam, path="x"), tuple, "auth|[success=1|default=ignore]|pam_unix.so|nullok|@include|-|#|[|]|common-auth"),
    Parser("unit", partial(parse_unit_file, path="x"), tuple, "[Service]|[Unit]|ExecStart=|Wants=|a.service|=|#|;|\\|\"|'|%i|[|]"),
    Parser("tmpfiles", _tmpfiles, tuple, "d|D|L+|q|z|/var/x|0755|root|-|~|:|10d|%%|%v|#|\"|'|\\x20"),
    Parser("environment", parse_environment_file, dict, "A|=|'|\"|\\|#|;|export |OPENSSL_CONF="),
    Parser("command line", parse_cmdline, CommandLine, "ro|rw|root=|=|\"|--|quiet|rauc.slot=A|systemd.verity_root_options=|-|_|,"),
    Parser("keyfile", partial(parse_keyfile, where="x"), KeyFile, GROUPED),
    Parser("rauc", partial(parse_rauc_config, path="x"), RaucConfig, GROUPED),
    Parser("manifest", lambda text: parse_manifest(text.encode("utf-8", "surrogatepass"), "x"), Manifest, GROUPED),
    Parser("broker", partial(parse_broker_config, path="x", include=lambda _: []), BrokerConfig,
           "listener |0|1883|/run/x|allow_anonymous |true|per_listener_settings |include_dir |connection |address |topic |#|bind_interface |certfile |"),
    Parser("openssl", _openssl, OpensslConfig, "openssl_conf|=|[|]|default|.include |loop|$|${|}|::|$HOME|\\|'|\"|#|.pragma |dollarid:on|ssl_conf|system_default|MinProtocol|providers|activate|1"),
    Parser("nft", _ruleset, dict, "table |inet |f|{|}|chain |input|type filter hook input priority 0;|policy drop;|tcp |dport |22|-|iifname |\"eth0\"|accept|jump |"
           "set |elements = |vmap |,|:|;|define |$x|include \"loop\"|counter|limit rate 1/second|ct state |established|!=|&|==|@f|flush ruleset|meta |l4proto |comment \"|#|add "),
    Parser("shell", _shell, list, "sh|-c|nft|-f|/etc/x| |;|&&|\\||'|\"|$(|)|`|A=b|exec|\\"),
    Parser("recipes", parse_recipes, Mapping, "PACKAGE NAME: |PACKAGE VERSION: |RECIPE NAME: |LICENSE: |a|1.0|:"),
    Parser("status", lambda text: parse_status(text, "x"), tuple, "Package: |Version: |Status: |install ok installed|a|1.0|:"),
    Parser("certificates", lambda text: parse_certificates(text.encode("utf-8", "surrogatepass"), "x"), tuple,
           "-----BEGIN CERTIFICATE-----\n|-----END CERTIFICATE-----\n|-----BEGIN TRUSTED CERTIFICATE-----\n|MIIB|AAAA|=|0"),
]  # fmt: skip


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
@given(data=st.data())
def test_any_text_becomes_what_its_parser_returns_or_a_sentence(parser: Parser, data: st.DataObject) -> None:
    text = data.draw(made_of(parser.vocabulary))
    with suppress(ArtefactError):
        assert isinstance(parser.parse(text), parser.kind)


LONG: Sequence[str] = [
    "a", "\\", "'", '"', "[", "{", "(", "=", "\n", " ", "[a]\n", "a=\\\n", "${", "$(", "a:", "x{\n", "a,", "-----BEGIN CERTIFICATE-----\n",
    "include \"loop\"\n", ".include loop\n", "; ", "&& ", "\\\n", "#\n", "table inet f {\n", "a::", "\t", "!", "0", "é", "env ", "sh -c ", "-",
]  # fmt: skip


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_long_repetitions_take_no_time_that_grows_with_their_square(parser: Parser) -> None:
    """The limit is the test's own: at a square, each of these would take minutes."""
    for piece in LONG:
        with suppress(ArtefactError):
            parser.parse(piece * (50_000 // len(piece)))


UNIT_WORDS = "[Unit]\n|[Service]\n|[Install]\n|Wants=|Requires=|Also=|Alias=|WantedBy=|a.service|b@.service|b@%i.service|b@x.service|multi-user.target|ExecStart=/bin/x|%n|%j|\n|enable |disable |*|@|=|-"
NAMES = [
    "a.service",
    "b@.service",
    "multi-user.target",
    "default.target",
    "a.service.d/x.conf",
    "service.d/y.conf",
    "a-.service.d/z.conf",
    "c.mount",
]


@given(texts=st.lists(made_of(UNIT_WORDS), min_size=len(NAMES), max_size=len(NAMES)), links=st.lists(st.sampled_from(NAMES), max_size=6))
def test_any_units_presets_and_links_make_a_graph(texts: list[str], links: list[str]) -> None:
    fs = RootFs().directory("/")
    for name, text in zip(NAMES, texts, strict=True):
        fs.file(f"/usr/lib/systemd/system/{name}", text)
    for number, target in enumerate(links):
        fs.link(f"/etc/systemd/system/{NAMES[number % 4]}.wants/{NAMES[(number * 5) % 4]}", target)
        fs.link(f"/etc/systemd/system/l{number}.service", f"l{number - 1}.service" if number else target)
    fs.file("/usr/lib/systemd/system-preset/10-x.preset", texts[0])
    fs.file("/usr/share/dbus-1/system-services/x.service", texts[1])
    with suppress(ArtefactError):
        units = Units(fs.tree)
        for name in starts(units):
            unit = units.unit(name)
            assert all(isinstance(word, str) for command in unit.commands for word in command)
            boolean(unit.value("Service", "RemainAfterExit"))
            words(unit.assigned("Unit", "Wants"))
            units.aliases(name)
        bus_services(fs.tree)
        preset_for(read_presets(fs.tree), "a.service")
    for read in (rc_local, lambda tree: list(init_scripts(tree)), lambda tree: list(wanted_by_devices(tree))):
        with suppress(ArtefactError):
            read(fs.tree)


@given(made_of("<busconfig>|</busconfig>|<policy user=\"root\">|<policy context=\"default\">|</policy>|<allow send_destination=\"de.pengutronix.rauc\"/>|<deny own=\"*\"/>|<include>|</include>|<includedir>|</includedir>|system.conf|x.d|<!DOCTYPE a [|<!ENTITY a \"b\">|]>|&a;"))  # fmt: skip
def test_any_policy_of_the_bus_is_read_or_a_sentence(text: str) -> None:
    fs = (
        RootFs()
        .directory("/")
        .file("/usr/share/dbus-1/system.conf", f"<busconfig>{text}</busconfig>")
        .file("/usr/share/dbus-1/x.d/a.conf", text)
    )
    with suppress(ArtefactError):
        may_call(read_bus_policy(fs.tree), "de.pengutronix.rauc", user="everest", groups=("everest",))


@given(st.integers(0, 20_000), st.integers(0, 40), st.text(max_size=10))
def test_an_altered_firewall_is_judged_or_a_sentence(at: int, gone: int, new: str) -> None:
    text = layer("recipes-connectivity/everest-firewall/files/everest-firewall.nft")
    at %= len(text)
    with suppress(ArtefactError):
        _ruleset(text[:at] + new + text[at + gone :])


@given(made_of('{|}|"|userName|privileged|hashedPassword|:|[|]|,|a'))
def test_any_user_record_is_read_or_a_sentence(text: str) -> None:
    with suppress(ArtefactError):
        list(read_other_secrets(RootFs().directory("/").file("/etc/userdb/a.user", text).file("/etc/userdb/a.user-privileged", text).tree))


@given(made_of("L+|L|R!|D|d|x|w|/var/log|/var/log/journal|-|/run/x|..|1d|~m:1h|\"|'|\\|%v"))
def test_any_lines_of_tmpfiles_are_read(text: str) -> None:
    tree = RootFs().directory("/").file("/etc/tmpfiles.d/a.conf", text).tree
    assert all(link.path and link.target for link in read_links(tree))
    list(read_removals(tree))
    read_ages(tree)
    read_cleaning(tree, "/var/log")


@given(made_of("blacklist |install |options |a-b|/bin/true|nowayout=0|\\|#| "))
def test_any_lines_of_modprobe_are_read(text: str) -> None:
    tree = RootFs().directory("/").file("/etc/modprobe.d/a.conf", text).tree
    assert not any("-" in name for name in blacklisted_modules(tree) | refused_modules(tree))
    list(module_options(tree))


@given(made_of("option |status_file|/var/x|Package: |Status: |unpacked|a|:"))
def test_any_configuration_of_opkg_is_read(text: str) -> None:
    read_packages(RootFs().directory("/").file("/etc/opkg/a.conf", text).file("/var/x", text).tree)


@given(
    made_of(
        "[Journal]\n|[Service]\n|RateLimitIntervalSec=|LogRateLimitIntervalSec=|RateLimitBurst=|LogRateLimitBurst=|0|1|30s|infinity|-|9999999999|\n"
    )
)
def test_any_limit_of_the_journal_is_read(text: str) -> None:
    fs = RootFs().file("/etc/systemd/journald.conf", text).file("/etc/systemd/system/a.service", text)
    limit = unit_rate_limit(Units(fs.tree).unit("a.service"), read_rate_limit(fs.tree))
    assert min(limit.interval, limit.burst, limit.lines_per_second) >= 0


@given(made_of("a\tb\tc.service\td|#|\t|*|kernel|\n"))
def test_any_table_of_security_events_is_read(text: str) -> None:
    fs = RootFs().file("/usr/lib/everest-secure/security-events.tsv", text).file("/usr/lib/everest-secure/security-events.d/x.tsv", text)
    assert "kernel" not in event_sources(fs.tree)


@given(
    made_of("mappings:|\n- |ocpp16_key: |component: |variable: |{name: a}|{name: NetworkConfiguration}|evse: |instance: |a| |{|}|[|]|1|: ")
)
def test_any_mappings_of_ocppmulti_are_read_or_a_sentence(text: str) -> None:
    module = Module("ocpp", "OCPPmulti", (), {"DeviceModelConfigMappings": "/x.yaml"}, {}, {}, 1, 1)
    with suppress(ArtefactError):
        assert all(each.key for each in read_mappings(RootFs().directory("/").file("/x.yaml", text).tree, module))
