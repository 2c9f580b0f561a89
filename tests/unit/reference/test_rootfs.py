import os
from pathlib import Path

import pytest

from everest_secure.errors import ToolError
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.image.verity import Verity
from everest_secure.reference.packages import IMAGE
from everest_secure.reference.recipes.image import ImageRecipe, image_recipe
from everest_secure.reference.rootfs import BLOCK, keep_kernel_configuration, pack
from everest_secure.run import HostTools, run
from support.images import assert_equal, only_tree
from support.layer import LAYER
from support.reference import require

EPOCH = 1_700_000_000
LEFT_OUT = ("/var/log", "/var/log/messages", "/boot/vmlinuz-6", "/usr/lib/modules/6/vmlinuz")


@pytest.fixture(params=["0", "1"], ids=["squashfs", "erofs"])
def recipe(request: pytest.FixtureRequest, tmp_path: Path) -> ImageRecipe:
    """The image's recipe as the layer has it."""
    settings = {"EVEREST_ADAPTIVE_UPDATES": request.param, "REPRODUCIBLE_TIMESTAMP_ROOTFS": str(EPOCH)}
    return image_recipe(IMAGE, layer=LAYER, work=tmp_path / "recipe", settings=settings)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root tree with every kind of thing that stays in and that is left out."""
    require("mksquashfs", "mkfs.erofs", "veritysetup")
    root = tmp_path / "root"
    contents = {
        "usr/bin/manager": os.urandom(3 * BLOCK + 5),
        "usr/lib/modules/6/kernel/a.ko": b"module",
        "usr/lib/modules/6/vmlinuz": b"kernel",
        "etc/everest/config.yaml": b"active_modules: {}\n",
        "boot/vmlinuz-6": b"kernel",
        "var/log/messages": b"log",
        "home/var/kept": b"a directory called var elsewhere",
    }
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "usr/bin/manager").chmod(0o4755)
    (root / "etc/everest").chmod(0o750)
    (root / "etc/link").symlink_to("/dev/null")
    if os.geteuid() == 0:
        os.chown(root / "etc/everest/config.yaml", 0, 1500)
        os.chown(root / "home/var", 1500, 1500)
    return root


def opened(image: Path) -> tuple[Artefact, Verity]:
    artefact = open_artefact(image)
    assert artefact.kind == "verity"
    assert isinstance(artefact.facts, Verity)
    return artefact, artefact.facts


def test_the_slot_holds_the_tree_with_its_modes_and_owners_but_not_state_and_kernel(
    tree: Path, recipe: ImageRecipe, tmp_path: Path
) -> None:
    made = pack(tree, tmp_path / "rootfs.img", recipe, epoch=EPOCH, tools=HostTools())
    packed = only_tree(opened(made.path)[0])
    for path in LEFT_OUT:
        assert packed.get(path) is None, path
    for path in reversed(LEFT_OUT):
        target = tree / path.lstrip("/")
        target.rmdir() if target.is_dir() else target.unlink()
    assert_equal(packed, tree)


def test_the_hash_tree_behind_it_covers_every_block_under_the_root_hash(tree: Path, recipe: ImageRecipe, tmp_path: Path) -> None:
    made = pack(tree, tmp_path / "rootfs.img", recipe, epoch=EPOCH, tools=HostTools())
    _, verity = opened(made.path)
    assert verity.hash_offset == made.hash_offset == verity.tree.data.size
    assert verity.verify_tree().holds(bytes.fromhex(made.root_hash))
    run(["veritysetup", "verify", made.path, made.path, made.root_hash, f"--hash-offset={made.hash_offset}"])


def test_a_changed_byte_no_longer_fits_the_root_hash(tree: Path, recipe: ImageRecipe, tmp_path: Path) -> None:
    made = pack(tree, tmp_path / "rootfs.img", recipe, epoch=EPOCH, tools=HostTools())
    with made.path.open("r+b") as file:
        file.seek(BLOCK + 100)
        byte = file.read(1)
        file.seek(BLOCK + 100)
        file.write(bytes([byte[0] ^ 1]))
    result = opened(made.path)[1].verify_tree()
    assert result.corrupt_blocks == (1,)


def test_the_same_tree_gives_the_same_image(tree: Path, recipe: ImageRecipe, tmp_path: Path) -> None:
    one, two = (pack(tree, tmp_path / name, recipe, epoch=EPOCH, tools=HostTools()) for name in ("one.img", "two.img"))
    assert (one.root_hash, one.hash_offset) == (two.root_hash, two.hash_offset)
    assert one.path.read_bytes() == two.path.read_bytes()


def test_another_tree_has_another_salt(tree: Path, recipe: ImageRecipe, tmp_path: Path) -> None:
    one = pack(tree, tmp_path / "one.img", recipe, epoch=EPOCH, tools=HostTools())
    (tree / "etc/new").write_text("new\n")
    two = pack(tree, tmp_path / "two.img", recipe, epoch=EPOCH, tools=HostTools())
    assert opened(one.path)[1].tree.salt != opened(two.path)[1].tree.salt


@pytest.mark.parametrize("recipe", ["1"], indirect=True)
def test_in_erofs_a_line_more_in_a_file_moves_no_other_file(tree: Path, recipe: ImageRecipe, tmp_path: Path) -> None:
    assert recipe.root_type == "erofs-lz4hc"
    for number in range(50):
        (tree / f"usr/bin/program-{number}").write_bytes(os.urandom(5 * BLOCK))
    one = pack(tree, tmp_path / "one.img", recipe, epoch=EPOCH, tools=HostTools())
    (tree / "etc/everest/config.yaml").write_text("active_modules: {}\nsettings: {}\n")
    two = pack(tree, tmp_path / "two.img", recipe, epoch=EPOCH, tools=HostTools())
    before, after = (made.path.read_bytes()[: made.hash_offset] for made in (one, two))
    assert len(before) == len(after)
    written = [at for at in range(0, len(before), BLOCK) if before[at : at + BLOCK] != after[at : at + BLOCK]]
    # The superblock with its checksum, the inode with the size, and the line.
    assert 0 < len(written) <= 3


def test_an_older_image_is_replaced_and_not_added_to(tree: Path, recipe: ImageRecipe, tmp_path: Path) -> None:
    image = tmp_path / "rootfs.img"
    image.write_bytes(b"left over" * BLOCK)
    made = pack(tree, image, recipe, epoch=EPOCH, tools=HostTools())
    assert opened(image)[1].verify_tree().holds(bytes.fromhex(made.root_hash))


def test_a_tree_that_is_not_there_is_one_sentence(recipe: ImageRecipe, tmp_path: Path) -> None:
    require("mksquashfs", "mkfs.erofs")
    with pytest.raises(ToolError, match=r"^'(mksquashfs|mkfs\.erofs)' failed with exit code \d+: .+"):
        pack(tmp_path / "none", tmp_path / "rootfs.img", recipe, epoch=EPOCH, tools=HostTools())


def test_the_kernel_s_configuration_stays_when_boot_is_left_out(tmp_path: Path) -> None:
    modules = tmp_path / "usr/lib/modules/6.12"
    modules.mkdir(parents=True)
    (tmp_path / "boot").mkdir()
    with pytest.raises(ToolError, match=r"6\.12 brings no configuration"):
        keep_kernel_configuration(tmp_path)
    (tmp_path / "boot/config-6.12").write_text("CONFIG_A=y\n")
    keep_kernel_configuration(tmp_path)
    assert (modules / "config").read_text() == "CONFIG_A=y\n"
    assert (modules / "config").stat().st_mode & 0o777 == 0o644
