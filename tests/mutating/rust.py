"""Just enough of Rust to find where a function's body is: text whose braces can be counted.

Never a parser: what it cannot place (a body that does not end where cargo-mutants says) is answered with None, and the mutant is "not tried".
"""

import re

# In this order: a raw string may hold quotes, a comment may hold both. A lifetime is no character.
TOKENS = re.compile(
    r"""b?r(?P<hashes>\#*)".*?"(?P=hashes) | b?"(?:\\.|[^"\\])*" | //[^\n]* | /\*.*?\*/ | b?'(?:\\[^\n]+?|[^\\'\n])'""",
    re.S | re.X,
)


def masked(text):
    """The same length, with spaces for comments, strings and characters."""
    return TOKENS.sub(lambda token: re.sub(r"[^\n]", " ", token.group()), text)


def offset(text, starts, place):
    """Where a line and column of cargo-mutants (both from 1, in characters) are in the text."""
    return starts[place["line"] - 1] + place["column"] - 1


def line_starts(text):
    return [0] + [at.end() for at in re.finditer("\n", text)]


def body(mask, start, end):
    """From the opening to behind the closing brace of the function that is mask[start:end]; None if that is not what is there."""
    word = re.compile(r"\bfn\b").search(mask, start, end)
    if word is None:
        return None
    depth = 0
    for at in range(word.end(), end):
        if mask[at] in "([":
            depth += 1
        elif mask[at] in ")]":
            depth -= 1
        elif mask[at] == "{" and depth == 0:
            whole = mask[at:end].rstrip()
            balanced = whole.count("{") == whole.count("}")
            return (at, at + len(whole)) if balanced and whole.endswith("}") else None
    return None


def why_not(mask, start, brace):
    """Why this function cannot hold several bodies that are chosen between when it runs; None if it can."""
    head = mask[start:brace]
    before, _, after = head.partition(" fn ") if " fn " in head else ("", "", head)
    if re.search(r"\bconst\b", before):
        return "const fn: the switch cannot be read when it is compiled"
    if re.search(r"->\s*impl\b", after):
        return "returns impl Trait: two bodies are two types"
    return None
