"""Device trees made by dtc."""

import struct
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.blob import from_bytes
from everest_secure.image.fdt import DeviceTree
from support.flat_image import device_tree
from support.images import tool

SOURCE = """
/ { compatible = "vendor,board", "vendor,soc"; #address-cells = <2>;
    chosen { bootargs = "root=/dev/mmcblk0p2 ro"; empty; };
    soc { uart@1000 { reg = <0x0 0x1000>; }; uart@2000 { reg = <0x0 0x2000>; }; };
};
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return device_tree(tmp_path_factory.mktemp("tree") / "board.dtb", SOURCE)


def tree_of(path: Path) -> DeviceTree:
    facts = open_artefact(path).facts
    assert isinstance(facts, DeviceTree)
    return facts


def built(*tokens: bytes, strings: bytes = b"name\0") -> DeviceTree:
    structure = b"".join(tokens)
    size = 40 + 16 + len(structure) + len(strings)
    head = struct.pack(">10I", 0xD00DFEED, size, 56, 56 + len(structure), 40, 17, 16, 0, len(strings), len(structure))
    return DeviceTree(from_bytes(head + bytes(16) + structure + strings, "hostile.dtb"))


def begin(name: bytes) -> bytes:
    return struct.pack(">I", 1) + name + bytes(4 - len(name) % 4)


NODE_END, END, NOP = (struct.pack(">I", tag) for tag in (2, 9, 4))
PROP = struct.pack(">III", 3, 0, 0)


def test_nodes_and_properties_are_those_that_fdtget_reads(compiled: Path) -> None:
    tree = tree_of(compiled)
    assert list(tree.nodes) == ["/", "/chosen", "/soc", "/soc/uart@1000", "/soc/uart@2000"]
    assert [node.name for node in tree.children("/soc")] == tool("fdtget", "-l", compiled, "/soc").decode().split()
    chosen = tree.nodes["/chosen"]
    assert chosen.text("bootargs") == tool("fdtget", compiled, "/chosen", "bootargs").decode().strip()
    assert list(chosen.properties) == tool("fdtget", "-p", compiled, "/chosen").decode().split()
    assert tree.nodes["/"].texts("compatible") == ("vendor,board", "vendor,soc")
    assert (tree.nodes["/"].number("#address-cells"), tree.nodes["/soc/uart@2000"].number("reg")) == (2, 0x2000)


def test_a_tree_that_dtc_pads_has_its_own_size(tmp_path: Path) -> None:
    padded = tmp_path / "padded.dtb"
    tool("dtc", "-q", "-O", "dtb", "-p", "4096", "-o", padded, stdin=f"/dts-v1/;{SOURCE}".encode())
    assert tree_of(padded).nodes["/chosen"].text("bootargs").startswith("root=")
    padded.write_bytes(padded.read_bytes() + bytes(5000))
    assert tree_of(padded).size == padded.stat().st_size - 5000


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ((begin(b""), begin(b"a"), NODE_END, begin(b"a"), NODE_END, NODE_END, END), "holds the node /a twice"),
        ((begin(b""), PROP, PROP, NODE_END, END), "/ has the property name twice"),
        ((begin(b"root"), NODE_END, END), "is damaged"),
        ((begin(b""), NODE_END, begin(b""), NODE_END, END), "is damaged"),
        ((begin(b""), begin(b""), NODE_END, NODE_END, END), "is damaged"),
        ((begin(b""), begin(b"a/b"), NODE_END, NODE_END, END), "is damaged"),
        ((begin(b""), begin(b"\xff"), NODE_END, NODE_END, END), "is damaged"),
        ((begin(b""), END), "is damaged"),
        ((NODE_END, END), "is damaged"),
        ((PROP, begin(b""), NODE_END, END), "is damaged"),
        ((NOP, END), "is damaged"),
        ((begin(b""), struct.pack(">I", 7), END), "is damaged"),
        ((begin(b""), struct.pack(">III", 3, 0, 99), NODE_END, END), "is damaged"),
        ((begin(b""), struct.pack(">III", 3, 1 << 31, 0), NODE_END, END), "truncated or corrupt"),
        ((begin(b""), NODE_END), "truncated or corrupt"),
        ((begin(b""), *[begin(b"a")] * 40), "is damaged"),
        ((begin(b""), *[NOP] * 500_001, NODE_END, END), "taken for hostile"),
    ],
)
def test_what_is_no_tree_is_refused(tokens: tuple[bytes, ...], message: str) -> None:
    with pytest.raises(ArtefactError, match=message):
        built(*tokens)


def test_a_property_that_is_no_text_is_not_taken_for_one() -> None:
    tree = built(begin(b""), struct.pack(">III", 3, 4, 0), b"abcd", NODE_END, END)
    with pytest.raises(ArtefactError, match="is no text"):
        tree.nodes["/"].text("name")


@pytest.mark.parametrize("cut", [1, 8, 40, 100, 200])
def test_a_truncated_tree_is_refused(compiled: Path, tmp_path: Path, cut: int) -> None:
    (tmp_path / "short.dtb").write_bytes(compiled.read_bytes()[:-cut])
    with pytest.raises(ArtefactError, match="truncated"):
        open_artefact(tmp_path / "short.dtb")


def test_a_flipped_bit_never_breaks_the_reader(compiled: Path) -> None:
    whole = compiled.read_bytes()
    for at in range(8, len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1 << at % 8
        try:
            DeviceTree(from_bytes(bytes(changed), "changed.dtb"))
        except ArtefactError:
            continue
