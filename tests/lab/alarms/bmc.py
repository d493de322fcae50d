"""One management board for each node: ipmi_sim behind a LAN session, reading its sensors from files five times a second.

Real: sessions, records, states, event log, FRU, FreeIPMI on the other side. Not real: where values come from.
"""
import shlex, socket, subprocess

import labkit
from labkit import Trouble

from alarms import machine

PACKAGES = "openipmi freeipmi-tools"
USER, PASSWORD = "ipmiusr", "lab-pass"

# ipmi_sim asks this program for power and the locate light: `get power`, `set power "0"`, `set identify "15 0"` (seconds,
# force). It is one shell line with its arguments behind it, and answers `power:1`.
CHASSIS = """#!/bin/sh
# The chassis of one simulated machine: what is asked for is written down, one file a thing.
set -eu
cd "${0%/*}"
verb=$1
shift
while [ $# -gt 0 ]; do
    case $verb in
    get) printf '%s:%s\\n' "$1" "$(cat "chassis-$1")" ;;
    set) printf '%s\\n' "$2" >"chassis-$1.new"; mv "chassis-$1.new" "chassis-$1"; shift ;;
    esac
    shift
done
"""


def write(lab, node, ip, port):
    """The board's configuration and its values, all healthy. Returns the folder that it runs in."""
    folder = lab.dir / "bmc" / node
    labkit.put(folder / "chassis", CHASSIS, 0o755)
    labkit.put(folder / "chassis-power", "1\n")
    # Without a guid ipmi_sim offers no IPMI 2.0.
    labkit.put(folder / "lan.conf", "\n".join(
        ['name "%s-bmc"' % node, "startlan 1", "  addr %s %d" % (ip, port), "  priv_limit admin"]
        + ["  allowed_auths_%s none md2 md5 straight" % who for who in ("callback", "user", "operator", "admin")]
        + ["  guid a123456789abcdefa123456789abcde0", "endlan", 'chassis_control "%s"' % shlex.quote(str(folder / "chassis")),
           'user 2 true "%s" "%s" admin 20' % (USER, PASSWORD)]) + "\n")
    lines = ["mc_setbmc 0x20", "mc_add 0x20 0x20 no-device-sdrs 0x01 0x02 0x10 0x9f 0x002a7c 0x0913", "sel_enable 0x20 1000 0x0a"]
    for sensor in machine.sensors():
        labkit.put(folder / sensor.file, "%d\n" % sensor.value)
        lines += commands(folder, sensor)
    for part in machine.parts(node):
        labkit.put(folder / part.name, machine.memory(part))
        lines.append('mc_add_fru_data 0x20 %d %d file 0 "%s"' % (part.number, machine.PART_BYTES, folder / part.name))
        lines.append("main_sdr_add 0x20 " + hexadecimal(machine.locator(part)))
    labkit.put(folder / "sim.emu", "\n".join(lines + ["mc_enable 0x20"]) + "\n")
    (folder / "state").mkdir()
    return folder


def commands(folder, sensor):
    """How the simulator learns of a sensor."""
    discrete = sensor.limits is None
    source = 'poll 200 file "%s"' % (folder / sensor.file)
    if sensor.factor != 1:
        source += " div=%d" % sensor.factor
    if sensor.needs:
        source += " depends=0x20,0,%d,%d" % sensor.needs
    lines = ["sensor_add 0x20 0 %d 0x%02x 0x%02x %s" % (sensor.number, sensor.kind, 0x6f if discrete else 0x01, source)]
    if sensor.limits:
        watched = "".join("1" if limit in sensor.limits else "0" for limit in reversed(machine.LIMITS))
        values = " ".join("0x%02x" % sensor.limits.get(limit, 0) for limit in reversed(machine.LIMITS))
        lines.append("sensor_set_threshold 0x20 0 %d settable %s %s" % (sensor.number, watched, values))
    mask = format(sensor.events, "015b")
    support = "per-state" if sensor.events else "none"
    lines.append("sensor_set_event_support 0x20 0 %d enable scanning %s %s %s %s %s" % (sensor.number, support, mask, mask, mask, mask))
    return lines + ["main_sdr_add 0x20 " + hexadecimal(machine.record(sensor))]


def hexadecimal(values):
    return " ".join("0x%02x" % value for value in values)


def start(lab, nodes):
    """One loopback address for each board, as in a management network. Returns node → address:port."""
    labkit.need(PACKAGES, "ipmi_sim", "ipmi-sensors")
    (lab.dir / "sdr").mkdir()
    boards = {}
    for i, node in enumerate(nodes):
        # ipmi_sim would share a taken port without a word: pick free ones.
        ip = "127.0.10.%d" % (11 + i)
        port = labkit.free_ports(1, socket.SOCK_DGRAM, ip)[0]
        boards[node] = "%s:%d" % (ip, port)
        folder = write(lab, node, ip, port)
        lab.spawn("bmc-" + node, ["ipmi_sim", "-n", "-c", "lan.conf", "-f", "sim.emu", "-s", "state"], cwd=folder)
    return boards


def wait(lab, boards):
    for node, address in boards.items():
        labkit.wait_for("the BMC of " + node, 20, lambda: lab.must_live("bmc-" + node) or warm(lab, address))


def warm(lab, address):
    """Fetch the sensor records once: FreeIPMI caches them, and the first scrape should not be the slow one."""
    call = ["ipmi-sensors", "-D", "LAN_2_0", "-W", "opensesspriv", "-h", address, "-u", USER, "-p", PASSWORD, "-l", "admin",
            "--sdr-cache-directory=%s/sdr" % lab.dir, "-Q", "--comma-separated-output"]
    return subprocess.run(call, capture_output=True, timeout=20).returncode == 0


def value(lab, node, file, number):
    path = lab.dir / "bmc" / node / file
    if not path.exists():
        raise Trouble("no %s of a node %s in this lab" % (file, node))
    labkit.put(path, "%d\n" % number)


def fan(lab, node, index, rpm):
    value(lab, node, "fan%d" % index, rpm)


def temperature(lab, node, sensor, celsius):
    value(lab, node, sensor, celsius)


def memory(lab, node, state):
    value(lab, node, "ecc", machine.MEMORY[state])


def drive(lab, node, index, state):
    value(lab, node, "drive%d" % index, machine.DRIVE[state])


def supply(lab, node, index, state, serial=None):
    """A supply that was pulled out takes its memory with it; another one that is put in has another serial number."""
    blank = bytes(machine.PART_BYTES)
    part = next((p for p in machine.parts(node) if p.name == "PS%d" % index), None)
    if part is None:
        raise Trouble("no power supply %d of a node %s in this lab" % (index, node))
    value(lab, node, "psu%d" % index, machine.SUPPLY[state])
    value(lab, node, "watts%d" % index, machine.HEALTHY["watts"] if state == "ok" else 0)
    path = lab.dir / "bmc" / node / part.name
    if state == "absent":
        # Blank, not gone: for a file that is not there ipmi_sim answers with an error after which FreeIPMI lists nothing more,
        # while a board says "not present".
        labkit.put(path, blank)
    elif serial or path.read_bytes() == blank:
        labkit.put(path, machine.memory(part, serial))
