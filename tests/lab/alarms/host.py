"""What each node's operating system sees of its hardware: a node exporter over a simulated /sys and /proc.

Real: the exporter's own collectors for fans, memory errors, software RAID and bonds. Not real: the files that they read, and
SMART, which is a text file with the names that smartmon.sh writes.
"""
import json

import labkit
from labkit import Trouble

from alarms import machine

PACKAGES = "prometheus-node-exporter"
DISKS = ("/dev/sda", "/dev/sdb", "/dev/sdc")
LINKS = ("eno1", "eno2")
COLLECTORS = ("hwmon", "edac", "mdadm", "bonding", "textfile")


def folder(lab, node):
    path = lab.dir / "host" / node
    if not path.exists():
        raise Trouble("no node %s in this lab" % node)
    return path


def put(path, value):
    labkit.put(path, "%s\n" % value)


def write(lab, node):
    """A healthy host."""
    home = lab.dir / "host" / node
    home.mkdir(parents=True)
    put(home / "sys/class/hwmon/hwmon0/name", "nct6779")
    for n in range(1, machine.FANS + 1):
        put(home / "sys/class/hwmon/hwmon0" / ("fan%d_min" % n), 1000)
        fan(lab, node, n, machine.HEALTHY["fan"], alarm=False)
    memory(lab, node, "ok", 0)
    raid(lab, node, "ok")
    put(home / "sys/class/net/bonding_masters", "bond0")
    put(home / "sys/class/net/bond0/bonding/slaves", " ".join(LINKS))
    for link in LINKS:
        nic(lab, node, link, "up")
    smart(lab, node, None, "ok")


def start(lab, nodes, ports):
    for node, port in zip(nodes, ports):
        write(lab, node)
        home = folder(lab, node)
        lab.spawn("host-" + node, ["prometheus-node-exporter", "--web.listen-address=127.0.0.1:%d" % port, "--collector.disable-defaults",
                                   "--path.sysfs=%s/sys" % home, "--path.procfs=%s/proc" % home,
                                   "--collector.textfile.directory=%s/textfile" % home] + ["--collector." + name for name in COLLECTORS])


def fan(lab, node, index, rpm, alarm):
    chip = folder(lab, node) / "sys/class/hwmon/hwmon0"
    put(chip / ("fan%d_input" % index), rpm)
    put(chip / ("fan%d_alarm" % index), int(alarm))


def memory(lab, node, state, count):
    """Error counters only grow; `ok` is the machine started again with good memory."""
    controller = folder(lab, node) / "sys/devices/system/edac/mc/mc0"
    for kind in ("ce", "ue"):
        path = controller / (kind + "_count")
        before = int(path.read_text()) if path.exists() and state != "ok" else 0
        put(path, before + (count if kind == state else 0))
        for rest in (kind + "_noinfo_count", "csrow0/%s_count" % kind):
            put(controller / rest, 0)


def raid(lab, node, state):
    """A mirror of two, md0."""
    second, count = ("sdb1[1]", "[2/2] [UU]") if state == "ok" else ("sdb1[1](F)", "[2/1] [U_]")
    put(folder(lab, node) / "proc/mdstat", "Personalities : [raid1]\nmd0 : active raid1 %s sda1[0]\n      976630464 blocks super 1.2 %s\n\n"
        "unused devices: <none>" % (second, count))


def nic(lab, node, link, state):
    """A link of the bond that carries everything."""
    put(folder(lab, node) / ("sys/class/net/bond0/lower_%s/bonding_slave/mii_status" % link), state)


def smart(lab, node, disk, state):
    home = folder(lab, node)
    known = home / "smart.json"
    health = json.loads(known.read_text()) if known.exists() else dict.fromkeys(DISKS, 1)
    if disk is not None:
        health[disk] = int(state == "ok")
    labkit.put(known, json.dumps(health))
    lines = ["# HELP smartmon_device_smart_healthy SMART metric device_smart_healthy", "# TYPE smartmon_device_smart_healthy gauge"]
    lines += ['smartmon_device_smart_healthy{disk="%s",type="sat"} %d' % item for item in sorted(health.items())]
    put(home / "textfile/smartmon.prom", "\n".join(lines))
