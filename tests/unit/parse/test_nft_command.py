import pytest

from everest_secure.parse.nft_command import parse_nft


@pytest.mark.parametrize(
    ("words", "loads", "changes"),
    [
        ("-f a.nft", ("a.nft",), ()),
        ("--file=a.nft", ("a.nft",), ()),
        ("-ef a.nft -f b.nft", ("a.nft", "b.nft"), ()),
        ("-fa.nft", ("a.nft",), ()),
        ("-cf a.nft", (), ()),
        ("--check --file a.nft", (), ()),
        ("-I /etc flush ruleset", (), ("flush", "ruleset")),
        ("list ruleset", (), ()),
        ("-a list ruleset", (), ()),
    ],
)
def test_options_of_nft_are_read_as_nft_reads_them(words: str, loads: tuple[str, ...], changes: tuple[str, ...]) -> None:
    found = parse_nft(("/usr/sbin/nft", *words.split()))
    assert (found.loads, found.changes) == (loads, changes)
