"""The packet filter (NET-04): what the rules that are loaded let in, and whether they are loaded."""

from collections.abc import Callable

import pytest

from support.mutation import Mutation, add_unit, check_mutation, move_behind, script, sentence
from support.rootfs import LOCAL, UNITS, RootFs, failing, good_root

RULES = "/etc/nftables/everest-firewall.nft"
FIREWALL = f"{UNITS}/everest-firewall.service"
FIREWALL_FAULTS = {
    "another command empties the rules": ("^(ExecStart=.*)$", r"\1\nExecStartPost=/usr/sbin/nft flush ruleset"),
    "a shell empties the rules": ("^(ExecStart=.*)$", r"\1\nExecStartPost=/bin/sh -c 'nft flush ruleset'"),
    "a second command on the line loads other rules": ("^(ExecStart=.*)$", r"\1 ; /usr/sbin/nft -f /etc/other.nft"),
    "the rules are only checked": ("nft --file", "nft -c --file"),
    "the unit stops at once and empties the rules": ("^RemainAfterExit=yes$", "ExecStop=/usr/sbin/nft flush ruleset"),
    "the unit has a condition": (r"^\[Unit\]$", "[Unit]\nConditionPathExists=/nowhere"),
    "nothing starts the target that it comes before": ("^Wants=.*$", ""),
    "each of network and firewall waits for the other": ("^Before=", "After=network.target\nBefore="),
    "nobody waits for the rules": ("^Type=oneshot$", "Type=simple"),
    "rules that nft refuses are no failure": ("^ExecStart=", "ExecStart=-"),
    "the rules are those of a network of its own": ("^Type=oneshot$", "Type=oneshot\nPrivateNetwork=yes"),
    "the rules are those of another network": ("^Type=oneshot$", "Type=oneshot\nNetworkNamespacePath=/run/netns/a"),
}
CLOSED = f"{UNITS}/systemd-networkd.service.d/50-everest-firewall.conf"
WAYS_TO_FAIL_CLOSED: dict[str, Callable[[RootFs], object]] = {
    "the network manager requires the rules": lambda fs: fs,
    "a link makes the network manager require them": lambda fs: fs.remove(CLOSED).link(
        f"{LOCAL}/systemd-networkd.service.requires/everest-firewall.service", FIREWALL
    ),
    "what the network manager requires does": lambda fs: fs.file(CLOSED, "[Unit]\nBindsTo=a.target\n").file(
        f"{UNITS}/a.target", "[Unit]\nRequires=everest-firewall.service\n"
    ),
    "the machine starts anew": lambda fs: fs.remove(CLOSED).replace(FIREWALL, r"^\[Unit\]$", "[Unit]\nFailureAction=reboot"),
    "an emergency ends everything": lambda fs: fs.remove(CLOSED).replace(FIREWALL, r"^\[Unit\]$", "[Unit]\nOnFailure=emergency.target"),
    "what may fail is not the loading": lambda fs: fs.replace(FIREWALL, "^(ExecStart=)", r"ExecStartPre=-/sbin/modprobe nf_tables\n\1"),
}
RULES_CHANGED_BESIDES: dict[str, Callable[[RootFs], object]] = {
    "a script that a unit runs empties them": lambda fs: script(fs, "nft flush ruleset"),
    "a script adds one": lambda fs: script(fs, "/usr/sbin/nft -a insert rule inet everest input tcp dport 22 accept"),
    "a script loads others": lambda fs: script(fs, "nft -nf /var/lib/rules.nft"),
    "a script in Python adds one": lambda fs: script(fs, 'subprocess.run(["nft", "add", "element", "inet", "everest", "open", "{ 22 }"])'),
    "udev empties them": lambda fs: fs.file("/etc/udev/rules.d/9.rules", 'SUBSYSTEM=="net", RUN+="/usr/sbin/nft flush ruleset"\n'),
}


@pytest.mark.parametrize("fault", FIREWALL_FAULTS)
def test_the_firewall_does_not_hold_when(fault: str) -> None:
    fs = good_root().replace(FIREWALL, *FIREWALL_FAULTS[fault]).file("/etc/other.nft", "flush ruleset\n")
    assert set(failing(fs)) == {"NET-04"}


@pytest.mark.parametrize("way", WAYS_TO_FAIL_CLOSED)
def test_there_is_no_network_without_rules_when(way: str) -> None:
    fs = good_root()
    WAYS_TO_FAIL_CLOSED[way](fs)
    assert failing(fs) == {}


@pytest.mark.parametrize("text", ["", "[Unit]\nWants=everest-firewall.service\n", "[Unit]\nRequires=everest-firewall.service\nRequires=\n"])
def test_a_network_that_comes_up_when_the_rules_cannot_be_loaded_is_found(text: str) -> None:
    assert set(failing(good_root().file(CLOSED, text))) == {"NET-04"}


@pytest.mark.parametrize("means", RULES_CHANGED_BESIDES)
def test_the_rules_of_the_file_are_not_those_in_force_when(means: str) -> None:
    fs = good_root()
    RULES_CHANGED_BESIDES[means](fs)
    assert set(failing(fs)) == {"NET-04"}


@pytest.mark.parametrize(
    "text", ["nft list ruleset", "nft -c -f /etc/x.nft", "nft --json list chain inet everest input | add", "# nft flush ruleset"]
)
def test_a_script_may_look_at_the_rules(text: str) -> None:
    fs = good_root()
    script(fs, text)
    assert failing(fs) == {}


def test_a_rule_that_is_not_understood_is_an_error_and_never_a_pass() -> None:
    fs = good_root()
    fs.replace("/etc/nftables/everest-firewall.nft", "# no TCP port is open", "tproxy to :50080")
    assert failing(fs)["NET-04"][0].startswith("error: ")


MUTATIONS = [
    Mutation("the rules are a link to the data partition", "NET-04", lambda fs: move_behind(fs, RULES)),
    Mutation(
        "the table of the firewall is dormant",
        "NET-04",
        lambda fs: fs.replace(RULES, r"^table inet everest \{$", "table inet everest {\n flags dormant"),
    ),
    Mutation(
        "the firewall accepts by default",
        "NET-04",
        lambda fs: fs.replace(RULES, "hook input priority filter; policy drop", "hook input priority filter; policy accept"),
    ),
    Mutation("the firewall has no input chain", "NET-04", lambda fs: fs.replace(RULES, "hook input", "hook output")),
    Mutation("a port is open on the PLC side", "NET-04", lambda fs: fs.replace(RULES, "64109 }", "64109, 8849 }")),
    Mutation(
        "a port is open on the management side",
        "NET-04",
        lambda fs: fs.replace(RULES, "# no TCP port is open", 'iifname "eth0" tcp dport 443 accept'),
    ),
    Mutation("a port is open on any interface", "NET-04", lambda fs: fs.replace(RULES, "# no TCP port is open", "tcp dport ssh accept")),
    Mutation("what a vehicle needs is closed", "NET-04", lambda fs: fs.replace(RULES, "50000, ", "")),
    Mutation(
        "no firewall is loaded", "NET-04", lambda fs: fs.remove(f"{LOCAL}/sysinit.target.wants/everest-firewall.service").remove(CLOSED)
    ),
    Mutation(
        "the firewall is loaded after the network", "NET-04", lambda fs: fs.replace(f"{UNITS}/everest-firewall.service", "^Before=.*$", "")
    ),
    Mutation(
        "two units load rules",
        "NET-04",
        lambda fs: add_unit(
            fs, "nftables.service", "[Unit]\nBefore=network-pre.target\n[Service]\nExecStart=/usr/sbin/nft -f /etc/nftables.conf\n"
        ),
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)
