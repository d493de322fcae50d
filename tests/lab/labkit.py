"""What the labs share: recorded processes, free ports, waiting with a deadline.

A lab is a directory. Every process it starts is written down there with its pid *and* its start time, and only a process that
matches both is ever signalled: pids are used again, and the machine belongs to others too. Nothing listens outside 127.0.0.0/8.
"""
import json, os, pathlib, random, re, shutil, signal, socket, subprocess, sys, time


class Trouble(Exception):
    """Something a person can read and mend."""


def start_time(pid):
    """Start time of a live process in clock ticks since boot; None for one that is gone or a zombie."""
    try:
        fields = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
        return None if fields[0] == "Z" else fields[19]
    except OSError:
        return None


def need(packages, *tools):
    missing = [t for t in tools if not shutil.which(t)]
    if missing:
        raise Trouble("not installed: %s\n  tests/lab/install adds them, or: apt-get install --no-install-recommends %s"
                      % (" ".join(missing), packages))


def wait_for(what, seconds, probe):
    """Ask `probe` until it returns something true; an exception of the network kind counts as not yet."""
    end, last = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        try:
            got = probe()
            if got:
                return got
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as e:
            last = ": %s" % e
        time.sleep(0.1)
    raise Trouble("waited %d s for %s%s" % (seconds, what, last))


def free_ports(count, kind=socket.SOCK_STREAM, ip="127.0.0.1"):
    """Ports nobody uses now, from below the range the kernel gives to outgoing connections, so that none slips in between."""
    held, ports = [], []
    try:
        while len(ports) < count:
            port = random.randrange(20000, 32000)
            s = socket.socket(socket.AF_INET, kind)
            try:
                s.bind((ip, port))
            except OSError:
                s.close()
                continue
            held.append(s)
            ports.append(port)
        return ports
    finally:
        for s in held:
            s.close()


def put(path, content, mode=None):
    """Write a file, text or bytes, so that a reader sees the old content or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_bytes(content if isinstance(content, bytes) else content.encode())
    if mode is not None:
        new.chmod(mode)
    os.replace(new, path)


class Lab:
    def __init__(self, directory, kind):
        self.dir = pathlib.Path(directory).absolute()
        self.mark = self.dir / ("." + kind)
        if not re.fullmatch(r"[A-Za-z0-9/._-]{1,70}", str(self.dir)):
            raise Trouble("--dir must be at most 70 plain characters (unix socket names are short): %s" % self.dir)

    def create(self):
        """A fresh directory. One that is not ours is left alone; the rest of a lab that died is taken down first."""
        if self.dir.exists() and any(self.dir.iterdir()):
            if not self.mark.exists():
                raise Trouble("%s exists, is not empty and is no lab of this kind" % self.dir)
            if any(self.alive(n) for n in self.pids()):
                raise Trouble("%s is up already: down first" % self.dir)
            shutil.rmtree(self.dir)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.dir.chmod(0o755)
        self.mark.touch()
        (self.dir / "log").mkdir()

    def pids(self):
        path = self.dir / "pids.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def alive(self, name):
        p = self.pids().get(name)
        return bool(p) and start_time(p["pid"]) == p["start"]

    def spawn(self, name, argv, cwd=None):
        """Start a process of its own session and write it down."""
        with open(self.dir / "log" / (name + ".log"), "ab") as log:
            child = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     cwd=cwd or self.dir, start_new_session=True)
        pids = self.pids()
        pids[name] = {"pid": child.pid, "start": start_time(child.pid), "argv": [str(a) for a in argv], "cwd": str(cwd or self.dir)}
        put(self.dir / "pids.json", json.dumps(pids, indent=1))
        return child

    def again(self, name):
        """Start a process that ended as it was started before."""
        before = self.pids().get(name)
        if before is None:
            raise Trouble("there never was a %s in this lab" % name)
        if self.alive(name):
            raise Trouble("%s is running already" % name)
        return self.spawn(name, before["argv"], before["cwd"])

    def send(self, names, number):
        pids = self.pids()
        for name in names:
            if self.alive(name):
                try:
                    os.kill(pids[name]["pid"], number)
                except ProcessLookupError:
                    pass

    def end(self, names, first=signal.SIGKILL, patience=8):
        """End these processes and see them gone."""
        names = list(names)
        for number in (first, signal.SIGKILL):
            self.send(names, number)
            self.send(names, signal.SIGCONT)  # a stopped one would never read its SIGTERM
            try:
                wait_for("processes to end", patience, lambda: not any(self.alive(n) for n in names))
                return
            except Trouble:
                pass
        raise Trouble("still there: %s" % " ".join(n for n in names if self.alive(n)))

    def down(self, first=signal.SIGKILL, keep=False):
        if not self.mark.exists():
            return
        self.end(self.pids(), first)
        (self.dir / "pids.json").unlink(missing_ok=True)
        if not keep:
            shutil.rmtree(self.dir)

    def log_tail(self, name, lines=5):
        path = self.dir / "log" / (name + ".log")
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def must_live(self, *names):
        for name in names:
            if not self.alive(name):
                raise Trouble("%s ended by itself:\n%s" % (name, self.log_tail(name)))


def bring_up(lab, start):
    """Run `start`; when it fails or is interrupted leave no process behind (the logs stay for reading). Prints what it returns."""
    began = time.monotonic()
    lab.create()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        facts = start(lab)
    except BaseException:
        lab.down(keep=True)
        raise
    facts["dir"] = str(lab.dir)
    put(lab.dir / "lab.json", json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1))
    print("up in %.1f s" % (time.monotonic() - began), file=sys.stderr)


def main(program, run):
    try:
        run()
    except (Trouble, subprocess.SubprocessError) as e:
        raise SystemExit("%s: %s" % (program, e))
