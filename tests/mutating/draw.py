"""Which mutants: all that cargo-mutants knows for what decides, in an order that is chance, but the same chance for the same seed.

The order hangs on what is changed and in which function, not on line numbers: a new function elsewhere leaves the sample as it is.
"""

import hashlib
import json
import os
import subprocess

import rust

WHERE = ["src/model/**", "src/decide/**"]


class Mutant:
    """One small change: in which file, which function (from, to), which text (from, to), by what it is replaced."""

    def __init__(self, raw, text, starts):
        self.file, self.name, self.new = raw["file"], raw["name"], raw["replacement"]
        self.function, self.genre = raw["function"]["function_name"], raw["genre"]
        self.whole = tuple(rust.offset(text, starts, raw["function"]["span"][end]) for end in ("start", "end"))
        self.span = tuple(rust.offset(text, starts, raw["span"][end]) for end in ("start", "end"))
        self.old = text[self.span[0] : self.span[1]]


def order(root, seed):
    """All mutants with an id each, drawn by seed; and how many are outside of functions, which nobody can switch."""
    command = ["cargo", "mutants", "--list", "--json"] + [part for glob in WHERE for part in ("-f", glob)]
    listed = json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True).stdout)
    texts, seen, found = {}, {}, []
    for raw in listed:
        if not raw.get("function"):
            continue
        if raw["file"] not in texts:
            with open(os.path.join(root, raw["file"]), encoding="utf-8") as file:
                text = file.read()
            texts[raw["file"]] = text, rust.line_starts(text)
        mutant = Mutant(raw, *texts[raw["file"]])
        what = "\0".join([mutant.file, mutant.function, mutant.genre, mutant.old, mutant.new])
        seen[what] = seen.get(what, 0) + 1
        mutant.id = hashlib.sha256(f"{what}\0{seen[what]}".encode()).hexdigest()[:16]
        found.append(mutant)
    found.sort(key=lambda mutant: hashlib.sha256(f"{seed} {mutant.id}".encode()).digest())
    return found, len(listed) - len(found)
