"""OpenSSL configurations, judged by the parser and by openssl itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.parse.openssl_cnf import OpensslConfig, parse_openssl_config, read_openssl_config
from support.rootfs import RootFs, layer

CHAIN = "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n[tls]\n"


def parse(text: str) -> OpensslConfig:
    return parse_openssl_config(text, "x.cnf", include=lambda _: [], environment={"HOME": "/root"})


def tls(text: str) -> dict[str, str]:
    return {name: value.value for name, value in parse(text).tls_defaults().items()}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("v = a # comment", "a"),
        ("v = 'a # b' c", "a # b c"),
        ('v = "a" "b"', "a b"),
        (r"v = a\#b", "a#b"),
        (r"v = a\nb", "a\nb"),
        ("v = a\\\nb", "ab"),
        ("w = x\nv = $w/$(w)/${w}", "x/x/x"),
        ("[s]\nw = y\n[default]\nv = $s::w", "y"),
        ("v = $ENV::HOME", "/root"),
        ("v = a\nv = b", "b"),
        ("[t]\ndefault::v = set from elsewhere", "set from elsewhere"),
    ],
)
def test_values_are_what_openssl_makes_of_them(line: str, value: str) -> None:
    found = parse(line + "\n").get("default", "v")
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize("text", ["[open\n", "no assignment\n", "v = $unknown\n", "v = ${open\n", "= x\n"])
def test_what_openssl_refuses_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ArtefactError, match=r"x\.cnf:1"):
        parse(text)


def test_tls_defaults_are_found_through_their_three_names() -> None:
    assert tls(CHAIN + "MinProtocol = TLSv1.2\n1.CipherString = A\n") == {"minprotocol": "TLSv1.2", "cipherstring": "A"}
    assert tls(CHAIN.replace("ssl_conf", "other_conf") + "MinProtocol = TLSv1.2\n") == {}


def test_includes_are_read_from_files_and_directories() -> None:
    fs = RootFs().file("/etc/x.cnf", CHAIN + ".include /etc/d\n.include = missing.cnf\n").file("/etc/d/a.cnf", "MinProtocol = TLSv1.3\n")
    fs.file("/etc/d/b.txt", "MinProtocol = TLSv1\n")
    found = read_openssl_config(fs.tree, "/etc/x.cnf", environment={}).tls_defaults()["minprotocol"]
    assert (found.value, found.path, found.line) == ("TLSv1.3", "/etc/d/a.cnf", 1)


def test_a_file_that_includes_itself_ends() -> None:
    fs = RootFs().file("/etc/x.cnf", ".include /etc/x.cnf\n")
    with pytest.raises(ArtefactError, match="loop"):
        read_openssl_config(fs.tree, "/etc/x.cnf", environment={})


def test_variables_that_double_each_other_are_bounded() -> None:
    text = "a0 = " + "x" * 1000 + "\n" + "".join(f"a{n + 1} = $a{n}$a{n}\n" for n in range(20))
    with pytest.raises(ArtefactError, match="65536"):
        parse(text)


def test_openssl_offers_the_ciphers_that_the_parser_reads(tmp_path: Path) -> None:
    """`openssl ciphers -s` lists what a context made with the file's defaults offers."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    file = tmp_path / "x.cnf"
    file.write_text(layer("recipes-security/everest-openssl-policy/files/openssl.cnf"))
    environment = {"OPENSSL_CONF": str(file), "PATH": "/usr/bin"}
    done = subprocess.run(["openssl", "ciphers", "-s"], env=environment, capture_output=True, text=True, check=True)
    values = tls(file.read_text())
    assert set(done.stdout.strip().split(":")) == {*values["ciphersuites"].split(":"), *values["cipherstring"].split(":")}


@pytest.mark.parametrize("second", ["ssl_conf.1 = other", "x.ssl_conf = other", "ssl_conf = other", "ssl_conf.1 = other\nssl_conf = ssl"])
def test_of_several_ssl_modules_openssl_follows_the_one_that_the_parser_names(tmp_path: Path, second: str) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    text = CHAIN.replace("ssl_conf = ssl", f"ssl_conf = ssl\n{second}") + "CipherString = ECDHE-RSA-AES128-GCM-SHA256\n"
    text += "[other]\nsystem_default = weak\n[weak]\nCipherString = AES128-SHA\n"
    file = tmp_path / "x.cnf"
    file.write_text(text)
    environment = {"OPENSSL_CONF": str(file), "PATH": "/usr/bin"}
    done = subprocess.run(["openssl", "ciphers", "-s", "-tls1_2"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == tls(text)["cipherstring"]


PROVIDERS = "openssl_conf = init\n[init]\nproviders = p\nalg_section = a\n[p]\n"


def test_providers_have_the_name_of_the_list_or_their_own_and_are_active_when_their_section_says_so() -> None:
    text = PROVIDERS + "default = d\n1.tpm2 = t\nother = o\n[d]\nactivate = yes\n[t]\nactivate = 0\n[o]\nidentity = legacy\n"
    found = {each.identity: (each.active, each.may_be_active) for each in parse(text).providers()}
    assert found == {"default": (True, True), "tpm2": (False, True), "legacy": (False, False)}


def test_the_query_for_every_fetch_is_that_of_the_section_of_algorithms() -> None:
    found = parse(PROVIDERS + "[a]\ndefault_properties = ?provider=default\n").default_properties()
    assert found is not None
    assert (found.value, found.line) == ("?provider=default", 7)
    assert parse(PROVIDERS).default_properties() is None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing")
@pytest.mark.parametrize(
    "section", ["activate = 1", "activate = yes", "activate = on", "identity = legacy\nactivate = 1", "identity = legacy"]
)
def test_openssl_activates_what_the_parser_says_is_active(section: str, tmp_path: Path) -> None:
    text = PROVIDERS + f"default = d\nlegacy = l\n[d]\nactivate = 1\n[l]\n{section}\n[a]\ndefault_properties =\n"
    (tmp_path / "x.cnf").write_text(text)
    environment = {"OPENSSL_CONF": str(tmp_path / "x.cnf"), "PATH": "/usr/bin:/bin"}
    said = subprocess.run(["openssl", "list", "-providers"], env=environment, capture_output=True, text=True, check=True).stdout
    listed = {line.strip() for line in said.splitlines() if line.startswith("  ") and not line.startswith("    ")}
    assert listed == {each.identity for each in parse(text).providers() if each.active}
