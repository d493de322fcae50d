"""Runs the tests with one mutant awake, the quick ones first, until one notices.

A mutant may loop for ever or eat all memory: each run has a limit of processor time (a busy machine does not shorten it), of time and of memory.
A run that a limit ended was noticed by it: the same tests end without a mutant in a quarter of it.
"""

import collections
import os
import re
import resource
import signal
import subprocess
import threading
import time

# Name, and which tests of the one program. What is slow is asked only about what nothing else noticed.
STAGES = [
    ("units of the planner", ["decide::planner::"]),
    ("units", ["decide::", "model::", "--skip", "decide::planner::"]),
    ("stories", ["told::stories"]),
    ("learning, late, makespan, two out", ["learning::", "late::", "makespan::", "two_out::", "giving_back::", "watchdog::", "--skip", "decide::"]),
    ("faces and loop", ["cli::", "web::", "reconcile::", "config::", "wiring::", "sim::", "demo::", "reload::"]),
    ("deaths", ["crash::"]),
]
STORIES = 2
QUICK, SLOW = range(3), range(3, 6)
MEMORY_MAX = 6 << 30
LOG_MAX = 1 << 20


class Trial:
    def __init__(self, program, tree, scratch):
        self.program, self.tree, self.scratch, self.limits = program, tree, scratch, {}
        folder = os.path.join(tree, "tests", "stories")
        self.stories = sorted(name for name in os.listdir(folder) if os.path.isdir(os.path.join(folder, name)))
        # Which stories noticed what: those that noticed something near it are asked first. That changes no answer, only how soon it is found.
        self.fame, self.lock = collections.Counter(), threading.Lock()

    def baseline(self, stage):
        """Without a mutant everything passes, and so long it takes. Anything else, and no mutant's death would mean anything."""
        name, tests = STAGES[stage]
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        code, log = self.run(0, tests, 3600)
        if code != 0 or not re.search(r"test result: ok\. [1-9]", log):
            raise SystemExit(f"mutants: without any mutant, {name} fail:\n{log[-4000:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"mutants: {name}: {spent:.0f} s of processor time, {time.monotonic() - began:.0f} s", flush=True)
        return int(spent * 4) + 10

    def noticed(self, number, file, stages):
        """Who noticed this mutant (stage, by which test or how it ended), or None."""
        for stage in stages:
            name, tests = STAGES[stage]
            # The planner uses nothing of the rest, so its units have nothing to say about the rest.
            if stage == 0 and not file.startswith("src/decide/planner/"):
                continue
            asked = self.by_fame(file) if stage == STORIES else [None]
            for story in asked:
                code, log = self.run(number, tests, self.limits[stage], story)
                if code == 0:
                    continue
                self.remember(file, story)
                if code in (None, -signal.SIGXCPU):
                    return name, "does not end"
                failed = re.search(r"^    (\S+)$", log.split("failures:")[-1], re.M)
                return name, story or (failed.group(1) if failed else f"ended with {code}")
        return None

    def remember(self, file, story):
        """A story noticed a change in this file."""
        with self.lock:
            self.fame.update([(file, story), (os.path.dirname(file), story), story])

    def by_fame(self, file):
        with self.lock:
            fame = {story: (self.fame[file, story], self.fame[os.path.dirname(file), story], self.fame[story]) for story in self.stories}
        return sorted(self.stories, key=lambda story: fame[story], reverse=True)

    def run(self, number, tests, limit, story=None):
        """Exit code (None: cut off) and output."""
        # Chance would be a mutant of its own: the properties try the same cases each time.
        environment = dict(os.environ, PITLANE_MUTANT=str(number), TMPDIR=self.scratch,
                           PROPTEST_RNG_SEED="1", PROPTEST_DISABLE_FAILURE_PERSISTENCE="1")
        if story:
            environment["STORY"] = story
        path = os.path.join(self.scratch, f"log-{number}")
        with open(path, "wb") as log:
            child = subprocess.Popen(
                [self.program, "--test-threads=1", *tests], cwd=self.tree, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: self.confine(limit),
            )
            try:
                code = child.wait(limit * 30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                code = None
        with open(path, "rb") as log:
            text = log.read(LOG_MAX).decode(errors="replace")
        os.remove(path)
        return code, text

    @staticmethod
    def confine(limit):
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
        # A mutant that writes for ever fills no disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 28, 1 << 28))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.nice(10)
