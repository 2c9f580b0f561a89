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


def offered(text: str, tmp_path: Path, directory: str = "/") -> str:
    """The suites of TLS 1.2 that openssl offers with a configuration, started in a directory."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    (tmp_path / "x.cnf").write_text(text)
    environment = {"OPENSSL_CONF": str(tmp_path / "x.cnf"), "PATH": "/usr/bin:/bin"}
    argv = ["openssl", "ciphers", "-s", "-tls1_2"]
    return subprocess.run(argv, env=environment, cwd=directory, capture_output=True, text=True, check=True).stdout.strip()


SUITE = "ECDHE-RSA-AES128-GCM-SHA256"


@pytest.mark.parametrize("include", [".include own.cnf", ".include = own.cnf", ".pragma includedir:HERE\n.include own.cnf"])
@pytest.mark.parametrize("beside", [False, True])
def test_a_relative_include_is_looked_for_where_openssl_looks_for_it(include: str, beside: bool, tmp_path: Path) -> None:
    (tmp_path / "own.cnf").write_text(f"CipherString = {SUITE}\n")
    text = f"{CHAIN}{include.replace('HERE', str(tmp_path))}\n"
    fs = RootFs().file(f"{tmp_path}/x.cnf", text).file(f"{tmp_path}/own.cnf", (tmp_path / "own.cnf").read_text())
    directory = str(tmp_path) if beside else "/"
    found = read_openssl_config(fs.tree, f"{tmp_path}/x.cnf", environment={}, directory=directory).tls_defaults()
    assert (offered(text, tmp_path, directory) == SUITE) is ("cipherstring" in found) is (beside or "pragma" in include)


def test_a_relative_include_that_a_pragma_forbids_is_refused() -> None:
    with pytest.raises(ArtefactError, match=r"x\.cnf:2 includes a relative path"):
        parse(".pragma abspath:true\n.include own.cnf\n")


@pytest.mark.parametrize(
    ("modules", "rest"),
    [
        ("providers = p", "[p]\ndefault = d\ntpm2 = t\n[d]\nactivate = 1\n[t]\nmodule = /missing.so\n"),
        ("alg_section = p", "[p]\ndefault_properties = ?provider=default\n"),
        ("alg_section = p", "[p]\ndefault_property = ?provider=default\n"),
        ("alg_section = p", ""),
        ("providers = p", ""),
        ("providers = p", "[p]\ndefault = d\ntpm2 = t\n[d]\nactivate = 1\n"),
        ("engines = p", "[p]\npkcs11 = e\n[e]\nengine_id = pkcs11\ndynamic_path = /missing.so\n"),
        ("1.ssl_config = tls", ""),
        ("random = p", "[p]\nrandom = CTR-DRBG\n"),
        ("oid_section = p", "[p]\nx = 1.2.3.4\n"),
    ],
)
@pytest.mark.parametrize("behind", [False, True])
def test_openssl_comes_to_the_tls_defaults_when_the_parser_says_so(modules: str, rest: str, behind: bool, tmp_path: Path) -> None:
    lines = f"ssl_conf = ssl\n{modules}" if behind else f"{modules}\nssl_conf = ssl"
    text = CHAIN.replace("ssl_conf = ssl", lines) + f"CipherString = {SUITE}\n{rest}"
    ends = parse(text).ends_before_tls()
    assert (offered(text, tmp_path) == SUITE) is (ends is None)
    assert ends is None or ends[1].line == 3


def test_openssl_loses_the_tls_defaults_when_a_program_s_section_is_missing(tmp_path: Path) -> None:
    text = CHAIN.replace("[ssl]\n", "[ssl]\nserver = missing\n") + f"CipherString = {SUITE}\n"
    assert offered(text, tmp_path) != SUITE
    assert parse(text).ends_before_tls() is not None


def test_bounds_of_dtls_are_none_of_tls_and_options_add_up() -> None:
    found = tls(
        CHAIN + "TLS.MinProtocol = TLSv1.2\nDTLS.MinProtocol = DTLSv1.2\nOptions = UnsafeLegacyRenegotiation\n1.Options = -Compression\n"
    )
    assert found == {"minprotocol": "TLSv1.2", "options": "UnsafeLegacyRenegotiation,-Compression"}


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
