"""Words and signs of nftables rule files (src/scanner.l of nftables), and a reader over them."""

import re
from dataclasses import dataclass, field

from everest_secure.errors import ArtefactError

_TOKEN = re.compile(
    r"(?P<space>[ \t\r]+|\\\n|\#[^\n]*)|(?P<newline>\n)|(?P<string>\"[^\"\n]*\")|(?P<operator>==|!=|<=|>=|[<>=])"
    r"|(?P<word>[\w*][\w*./:+-]*)|(?P<sign>[{}(),;:@$.&|^-])"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word, string or sign, with its place."""

    text: str
    path: str
    line: int
    quoted: bool = False


def tokens(text: str, path: str) -> list[Token]:
    """Split a rule file; a newline is a token. Raises ArtefactError for a character that nft does not know."""
    found: list[Token] = []
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise ArtefactError(f"{path}:{line} holds '{text[at]!r:.8}', which is not read as nftables syntax; write it in plain rules")
        if match.lastgroup == "string":
            found.append(Token(match[0][1:-1], path, line, quoted=True))
        elif match.lastgroup != "space":
            found.append(Token(match[0], path, line))
        line += match[0].count("\n")
        at = match.end()
    return found


@dataclass
class TokenReader:
    """A place in a list of tokens; whatever is not expected raises ArtefactError with file and line."""

    stream: list[Token] = field(default_factory=list)
    at: int = 0

    def peek(self) -> Token:
        """Return the next token; an empty one at the end."""
        return self.stream[self.at] if self.at < len(self.stream) else Token("", *self._end())

    def _end(self) -> tuple[str, int]:
        return (self.stream[-1].path, self.stream[-1].line) if self.stream else ("", 0)

    def take(self, *expected: str) -> Token:
        """Return the next token and step over it; raises ArtefactError unless it is one of `expected`, if any."""
        token = self.peek()
        self.at += 1
        if expected and (token.text not in expected or token.quoted):
            raise self.unknown(token)
        return token

    def taken(self, text: str) -> bool:
        """Step over the next token if it is this one."""
        if self.peek().text == text and not self.peek().quoted and self.at < len(self.stream):
            self.at += 1
            return True
        return False

    def skip_ends(self) -> None:
        """Step over line ends and semicolons."""
        while self.at < len(self.stream) and self.peek().text in ("\n", ";") and not self.peek().quoted:
            self.at += 1

    def unknown(self, token: Token) -> ArtefactError:
        """Return the error for a token that has no meaning here."""
        said = token.text.replace("\n", "end of line") or "end of file"
        return ArtefactError(
            f"{token.path}:{token.line} has '{said}' where it is not understood; write it in plain rules so that it can be verified"
        )
