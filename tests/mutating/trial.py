"""Runs the tests with one mutant awake, the quick ones first, until one notices.

A mutant may loop for ever or eat all memory: each run has a limit of processor time (a busy machine does not shorten it), of time and of memory.
A run that a limit ended was noticed by it: the same tests end without a mutant in a quarter of it.
"""

import os
import re
import resource
import signal
import subprocess
import time

# Name, and which tests of the one program. What is slow is asked only about what nothing else noticed.
STAGES = [
    ("units", ["decide::", "model::"]),
    ("stories", ["told::stories"]),
    ("learning, late, makespan, two out", ["learning::", "late::", "makespan::", "two_out::", "giving_back::", "watchdog::", "--skip", "decide::"]),
    ("faces and loop", ["cli::", "web::", "reconcile::", "config::", "wiring::", "sim::", "demo::", "reload::"]),
    ("deaths", ["crash::"]),
]
MEMORY_MAX = 6 << 30
LOG_MAX = 1 << 20


class Trial:
    def __init__(self, program, tree, scratch):
        self.program, self.tree, self.scratch, self.limits = program, tree, scratch, {}

    def limit(self, stage):
        """Processor seconds for this stage. First it has to pass without a mutant: anything else, and no mutant's death would mean anything."""
        if stage not in self.limits:
            (name, tests), began = STAGES[stage], time.monotonic()
            code, spent, log = self.run(0, tests, 3600)
            if code != 0 or not re.search(r"test result: ok\. [1-9]", log):
                raise SystemExit(f"mutants: without any mutant, {name} fail:\n{log[-4000:]}")
            self.limits[stage] = int(spent * 4) + 10
            print(f"mutants: {name}: {spent:.0f} s of processor time, {time.monotonic() - began:.0f} s", flush=True)
        return self.limits[stage]

    def noticed(self, number):
        """Who noticed this mutant (stage, by which test or how it ended), or None."""
        for stage, (name, tests) in enumerate(STAGES):
            code, _, log = self.run(number, tests, self.limit(stage))
            if code == 0:
                continue
            failed = re.search(r"^    (\S+)$", log.split("failures:")[-1], re.M)
            story = re.search(r"^([a-z0-9-]+): (?:diff|unsafe|the story)", log, re.M) if name == "stories" else None
            how = {-signal.SIGXCPU: "does not end", None: "does not end"}.get(code)
            return name, how or (story or failed).group(1) if how or story or failed else f"ended with {code}"
        return None

    def run(self, number, tests, limit):
        """Exit code (None: cut off), processor time, output."""
        environment = dict(os.environ, PITLANE_MUTANT=str(number), PITLANE_FIRST="1", PROPTEST_DISABLE_FAILURE_PERSISTENCE="1", TMPDIR=self.scratch)
        path = os.path.join(self.scratch, "log")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
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
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        with open(path, "rb") as log:
            return code, spent, log.read(LOG_MAX).decode(errors="replace")

    @staticmethod
    def confine(limit):
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
        # A mutant that writes for ever fills no disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 28, 1 << 28))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.nice(10)
