"""Draws a sample of mutants, builds them all at once, wakes one after the other, and says which nobody noticed.

Results are written as they come, so a run that was interrupted goes on. One is reused when its mutant and every source are the same; with
--again, mutants that were noticed before are believed to be noticed still (tests were added, nothing else), and the others are asked again.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

import draw
import graft
import trial

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.join(ROOT, "target", "mutants")


def arguments():
    parser = argparse.ArgumentParser(prog="tests/mutants", description="Are small changes to what decides noticed by the tests?")
    parser.add_argument("count", type=int, nargs="?", default=200, help="how many mutants that compile (200)")
    parser.add_argument("seed", type=int, nargs="?", default=1, help="which sample (1)")
    parser.add_argument("--again", action="store_true", help="ask only about those that were not noticed before")
    parser.add_argument("--jobs", type=int, default=1, help="so many mutants side by side (1)")
    return parser.parse_args()


def fingerprint(tree, *parts):
    """Of what lies in these parts of the tree, without mutants."""
    digest = hashlib.sha256()
    for name in graft.copied(ROOT, tree):
        if name.startswith(parts):
            with open(os.path.join(ROOT, name), "rb") as file:
                digest.update(name.encode() + b"\0" + hashlib.sha256(file.read()).digest())
    return digest.hexdigest()[:16]


def sample(count, ordered, tree, compiled):
    """So many mutants that compile, in the order they were drawn: number → mutant. And those before the last that are not in it, and why."""
    take, path = count + count // 3 + 8, os.path.join(OUT, "dropped.json")
    # What did not compile will not, as long as the sources are the same: then the program that lies there is the one, and nothing is built.
    remembered = {"compiled": compiled, "dropped": {}}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            before = json.load(file)
        remembered = before if before["compiled"] == compiled else remembered
    while True:
        candidates = ordered[:take]
        program, alive, dropped = graft.build(ROOT, tree, os.path.join(OUT, "build"), candidates, remembered["dropped"])
        remembered["dropped"] |= dropped
        with open(path, "w", encoding="utf-8") as file:
            json.dump(remembered, file)
        chosen = dict(sorted(alive.items())[:count])
        if len(chosen) == count or take >= len(ordered):
            last = max(chosen, default=0)
            return program, chosen, {mutant.name: dropped[mutant.id] for mutant in candidates[:last] if mutant.id in dropped}
        take += count // 2 + 8


def known_before(path, sources, again):
    """id → result of earlier runs that still counts."""
    known = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                result = json.loads(line)
                if result["sources"] == sources or (again and result["by"]):
                    known[result["id"]] = result
    return known


def baselines(trying, stages, sources):
    """The limits of these stages; measured once for the same sources."""
    path = os.path.join(OUT, "baseline.json")
    limits = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            limits = json.load(file).get(sources, {})
    for stage in stages:
        if str(stage) not in limits:
            limits[str(stage)] = trying.baseline(stage)
            with open(path, "w", encoding="utf-8") as file:
                json.dump({sources: limits}, file)
        trying.limits[stage] = limits[str(stage)]


def main():
    wanted, began = arguments(), time.monotonic()
    tree, path = os.path.join(OUT, "tree"), os.path.join(OUT, "results.jsonl")
    os.makedirs(tree, exist_ok=True)
    ordered, outside = draw.order(ROOT, wanted.seed)
    sources = fingerprint(tree, "src/", "tests/stories/", "policies/", "Cargo")
    program, chosen, dropped = sample(wanted.count, ordered, tree, fingerprint(tree, "src/", "Cargo"))
    tried_not = {name: why for name, why in dropped.items() if why.startswith("not tried")}
    print(f"mutants: {len(chosen)} of {len(ordered)}, seed {wanted.seed}; passed over: {len(dropped) - len(tried_not)} that do not compile, "
          f"{len(tried_not)} that cannot be tried this way; {outside} outside of functions were not drawn; built after {time.monotonic() - began:.0f} s", flush=True)
    known = known_before(path, sources, wanted.again)
    with tempfile.TemporaryDirectory(prefix="pitlane-mutants-") as scratch, open(path, "a", encoding="utf-8") as results:
        trying = trial.Trial(program, tree, scratch)
        for mutant in chosen.values():
            if known.get(mutant.id, {}).get("by"):
                trying.remember(mutant.file, known[mutant.id]["by"][1])
        for stages in (trial.QUICK, trial.SLOW):
            asked = {number: mutant for number, mutant in chosen.items()
                     if mutant.id not in known or not known[mutant.id]["by"] and known[mutant.id]["stages"] < stages.stop}
            if asked:
                baselines(trying, stages, sources)
            with ThreadPoolExecutor(wanted.jobs) as pool:
                coming = {pool.submit(trying.noticed, number, mutant.file, stages): mutant for number, mutant in asked.items()}
                for done in as_completed(coming):
                    mutant, by = coming[done], done.result()
                    known[mutant.id] = {"id": mutant.id, "sources": sources, "name": mutant.name, "by": by, "stages": stages.stop}
                    results.write(json.dumps(known[mutant.id]) + "\n")
                    results.flush()
                    print(f"{mutant.name}: {' / '.join(by) if by else 'not noticed yet' if stages == trial.QUICK else 'NOT NOTICED'}", flush=True)
    return told(chosen, known, tried_not, time.monotonic() - began)


def told(chosen, known, tried_not, took):
    found = [known[mutant.id] for mutant in chosen.values()]
    # The name is today's: lines move.
    missed = [mutant.name for mutant in chosen.values() if not known[mutant.id]["by"]]
    endless = sum(1 for result in found if result["by"] and result["by"][1] == "does not end")
    for name, why in sorted(tried_not.items()):
        print(f"not tried: {name} ({why.removeprefix('not tried: ')})")
    print(f"{len(found) - len(missed)} of {len(found)} mutants noticed ({endless} of them by not ending), {took / 60:.0f} minutes; these were not:")
    print("\n".join(sorted(missed)))
    return 0 if found and (len(found) - len(missed)) * 10 >= len(found) * 9 else 1


if __name__ == "__main__":
    sys.exit(main())
