"""One build that holds all mutants, each asleep: every function with mutants chooses its body by the number in PITLANE_MUTANT.

Works in a copy of the tree, and never writes to the tree itself. A mutant that does not compile is taken out (there is nothing to notice), one that
cannot be expressed so is "not tried"; neither is ever counted as noticed. The stories become tests of the library, so that there is one thing to build.
"""

import json
import os
import re
import subprocess

import rust

SWITCH = """//! Which mutant is awake: only in the copy that is tested.
use std::sync::OnceLock;

pub fn awake() -> u32 {
    static NUMBER: OnceLock<u32> = OnceLock::new();
    *NUMBER.get_or_init(|| std::env::var("PITLANE_MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(0))
}
"""
# As the tests are run every day: with the checks of a debug build and its samples. Optimised a little, or the stories take minutes.
PROFILE = {"opt-level": "1", "debug-assertions": "true", "overflow-checks": "true", "codegen-units": "16"}
# What would be an error only because it is certain to fail when it runs.
ALLOWED = "#![allow(warnings, arithmetic_overflow, unconditional_panic)]\n"


def copied(root, tree):
    """Brings the copy up to date, file by file: what is the same is not touched, or all would be built anew."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root, check=True, capture_output=True)
    names = {name for name in listed.stdout.decode().split("\0") if name and os.path.isfile(os.path.join(root, name))}
    for folder, _, files in os.walk(tree):
        for file in files:
            path = os.path.join(folder, file)
            if os.path.relpath(path, tree) not in names | {"src/mutant.rs", "src/told.rs"}:
                os.remove(path)
    for name in names:
        if not (name.startswith(("src/model/", "src/decide/")) or name == "src/lib.rs"):
            with open(os.path.join(root, name), "rb") as file:
                put(tree, name, file.read())
    return sorted(names)


def put(tree, name, content):
    path = os.path.join(tree, name)
    if os.path.exists(path):
        with open(path, "rb") as file:
            if file.read() == content:
                return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def library(root, tree):
    """The library with the switch, and with the modules of the stories at its root, where they look for each other."""
    def read(name):
        with open(os.path.join(root, name), encoding="utf-8") as file:
            return file.read()

    main = read("tests/stories/main.rs")
    modules = re.findall(r"^mod (\w+);$", main, re.M)
    told = re.sub(r"^mod \w+;$\n", "", main, flags=re.M)
    told = re.sub(r"^(//!.*\n)*", "use crate::*;\n", told)
    stories = "".join(f'#[cfg(test)]\n#[path = "../tests/stories/{name}.rs"]\nmod {name};\n' for name in modules)
    put(tree, "src/mutant.rs", SWITCH.encode())
    put(tree, "src/told.rs", told.encode())
    whole = re.sub(r"^((?://!.*\n)*)", lambda head: head.group(1) + ALLOWED, read("src/lib.rs"), count=1)
    whole += "pub mod mutant;\n#[cfg(test)]\nextern crate self as pitlane;\n#[cfg(test)]\nmod told;\n" + stories
    put(tree, "src/lib.rs", whole.encode())


class Grafted:
    """The mutants of one file in it: the text, and where in it (in bytes) each arm and each function is."""

    def __init__(self, text, numbered):
        mask, groups, self.refused = rust.masked(text), {}, {}
        spans = sorted({mutant.whole for mutant in numbered.values()}, key=lambda span: (span[0], -span[1]))
        outer = [span for i, span in enumerate(spans) if not any(other[1] >= span[1] for other in spans[:i])]
        for number, mutant in numbered.items():
            span = next(span for span in outer if span[0] <= mutant.span[0] and mutant.span[1] <= span[1])
            braces = rust.body(mask, *span)
            why = "its body was not found" if braces is None else rust.why_not(mask, span[0], braces[0])
            if why:
                self.refused[number] = why
            else:
                groups.setdefault(braces, []).append(number)
        out, done, self.arms, self.functions = b"", 0, [], []
        for (start, end), numbers in sorted(groups.items()):
            out += text[done:start].encode() + b"{ match crate::mutant::awake() {\n"
            began = len(out)
            for number in numbers:
                mutant, arm = numbered[number], len(out)
                changed = text[start : mutant.span[0]] + mutant.new + " " + text[mutant.span[1] : end]
                out += f"{number} => {changed}\n".encode()
                self.arms.append((arm, len(out), number))
            out += f"_ => {text[start:end]}\n}} }}".encode()
            self.functions.append((began, len(out), numbers))
            done = end
        self.text = out + text[done:].encode()

    def arm(self, at):
        """The mutant in whose body this byte is."""
        return [number for start, end, number in self.arms if start <= at < end]

    def function(self, at):
        """All mutants of the function in which this byte is."""
        return [number for start, end, numbers in self.functions if start <= at < end for number in numbers]


def build(root, tree, target, mutants, known):
    """Builds with as many of these as compile (of some it is known that they do not). Answers the program, the numbered mutants in it, and why others are not."""
    copied(root, tree)
    library(root, tree)
    numbered = dict(enumerate(mutants, 1))
    alive = {number: mutant for number, mutant in numbered.items() if mutant.id not in known}
    dropped = {mutant.id: known[mutant.id] for mutant in mutants if mutant.id in known}
    sources = {}
    for folder in ("src/model", "src/decide"):
        for path, _, files in os.walk(os.path.join(root, folder)):
            for file in files:
                name = os.path.relpath(os.path.join(path, file), root)
                with open(os.path.join(root, name), encoding="utf-8") as opened:
                    sources[name] = opened.read()
    for _ in range(12):
        grafted = {}
        for name, text in sources.items():
            grafted[name] = Grafted(text, {n: mutant for n, mutant in alive.items() if mutant.file == name})
            put(tree, name, grafted[name].text)
            for number, why in grafted[name].refused.items():
                dropped[alive.pop(number).id] = f"not tried: {why}"
        program, errors = compiled(tree, target)
        if program:
            return program, alive, dropped
        # A wrong body makes errors in the right ones, too: a whole function is blamed only when no body of one is.
        blamed = {}
        for look in (Grafted.arm, Grafted.function):
            for text, places in [] if blamed else errors:
                for name, at in places:
                    blamed |= {number: text for number in look(grafted[name], at)} if name in grafted else {}
        if not blamed:
            raise SystemExit("mutants: the copy does not compile, and no mutant is to blame:\n" + "\n".join(text for text, _ in errors))
        for number, text in blamed.items():
            dropped[alive.pop(number).id] = "does not compile: " + text.strip().splitlines()[0]
        print(f"mutants: {len(blamed)} do not compile, {len(alive)} left", flush=True)
    raise SystemExit("mutants: after twelve rounds the copy still does not compile")


def compiled(tree, target):
    """The test program, or what rustc says: a text, and the places (file, byte) it is about."""
    command = ["cargo", "test", "--locked", "--release", "--lib", "--no-run", "--message-format=json"]
    for key, value in PROFILE.items():
        command += ["--config", f"profile.release.package.pitlane.{key}={value}"]
    environment = dict(os.environ, CARGO_TARGET_DIR=target, CARGO_TERM_COLOR="never")
    ran = subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    program, errors = None, []
    for line in ran.stdout.decode().splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("reason") == "compiler-artifact" and message.get("executable") and message["target"]["name"] == "pitlane":
            program = message["executable"]
        if message.get("reason") == "compiler-message" and message["message"]["level"] == "error":
            places = [place for span in message["message"]["spans"] if span["is_primary"] for place in chain(span)]
            errors.append((message["message"]["rendered"] or message["message"]["message"], places))
    if ran.returncode == 0 and program:
        return program, []
    return None, errors or [(ran.stderr.decode(), [])]


def chain(span):
    """The place of an error, and those of the macros it came through."""
    while span:
        yield span["file_name"], span["byte_start"]
        span = (span.get("expansion") or {}).get("span")
