"""What one simulated machine has on its management board: sensors, and the parts that carry a serial number.

Only data and the bytes of IPMI 2.0 records that describe it; no process and no file is touched here.
"""
import dataclasses

FANS, SUPPLIES, DRIVES = 6, 2, 2
HEALTHY = {"fan": 8000, "cpu1": 48, "cpu2": 50, "inlet": 23, "watts": 180}
# State bits of the discrete sensors, as IPMI numbers them. Nothing set means "not there", and IPMI calls that good.
SUPPLY = {"ok": 0b0001, "failed": 0b0011, "input-lost": 0b1001, "absent": 0}
DRIVE = {"ok": 0b001, "fault": 0b011, "predictive": 0b101, "absent": 0}
MEMORY = {"ok": 0, "ce": 0b01, "ue": 0b10}
LIMITS = ("lnc", "lc", "lnr", "unc", "uc", "unr")  # in the order of their bits
CROSSES = {"lnc": 0, "lc": 2, "lnr": 4, "unc": 7, "uc": 9, "unr": 11}  # "going low" below, "going high" above
CHASSIS, POWER, BACKPLANE, PROCESSOR, FAN, INLET, MEMORY_BOARD = 0x17, 0x0a, 0x04, 0x03, 0x1d, 0x37, 0x20  # entities


@dataclasses.dataclass
class Sensor:
    """One sensor. `file` holds its value as a person would write it; the board divides it by `factor`."""
    number: int
    name: str
    file: str
    value: int
    kind: int            # IPMI's sensor type
    entity: tuple        # entity, instance
    unit: int = 0
    factor: int = 1
    limits: dict = None  # raw values of those of LIMITS that are watched; a sensor with None is discrete
    states: int = 0      # state bits that a discrete one may show
    needs: tuple = None  # number and bit of the sensor that says whether this one is there

    @property
    def events(self):
        return self.states if self.limits is None else sum(1 << CROSSES[name] for name in self.limits)


def sensors():
    found = []

    def add(name, file, value, kind, entity, **more):
        found.append(Sensor(len(found) + 1, name, file, value, kind, entity, **more))
        return found[-1].number

    for n in range(1, FANS + 1):
        # FreeIPMI calls what is below the first limit "nominal" still; below the second it is critical.
        add("FAN%d" % n, "fan%d" % n, HEALTHY["fan"], 0x04, (FAN, n), unit=0x12, factor=100, limits={"lnc": 20, "lc": 10, "lnr": 5})
    hot = {"unc": 90, "uc": 95, "unr": 100}
    add("CPU1 Temp", "cpu1", HEALTHY["cpu1"], 0x01, (PROCESSOR, 1), unit=0x01, limits=hot)
    add("CPU2 Temp", "cpu2", HEALTHY["cpu2"], 0x01, (PROCESSOR, 2), unit=0x01, limits=hot)
    add("Inlet Temp", "inlet", HEALTHY["inlet"], 0x01, (INLET, 1), unit=0x01, limits={"unc": 38, "uc": 42, "unr": 47})
    for n in range(1, SUPPLIES + 1):
        status = add("PS%d Status" % n, "psu%d" % n, SUPPLY["ok"], 0x08, (POWER, n), states=0b1011)
        add("PS%d Input Power" % n, "watts%d" % n, HEALTHY["watts"], 0x0b, (POWER, n), unit=0x06, factor=4, limits={}, needs=(status, 0))
    add("Mem ECC", "ecc", MEMORY["ok"], 0x0c, (MEMORY_BOARD, 1), states=0b100011)
    for n in range(DRIVES):
        add("Drive %d" % n, "drive%d" % n, DRIVE["ok"], 0x0d, (BACKPLANE, n + 1), states=0b111)
    return found


def record(sensor):
    """The sensor's data record: type 1 with limits, type 2 for states."""
    number, (entity, instance) = sensor.number, sensor.entity
    name = [0xc0 | len(sensor.name)] + list(sensor.name.encode())
    events = [sensor.events & 255, sensor.events >> 8]
    if sensor.limits is None:
        body = [0x20, 0, number, entity, instance, 0x67, 0x40, sensor.kind, 0x6f] + events * 3
        return framed(0x02, body + [0xc0, 0, 0, 1] + [0] * 7 + name)
    mask = sum(1 << LIMITS.index(limit) for limit in sensor.limits)
    limits = [sensor.limits.get(limit, 0) for limit in reversed(LIMITS)]
    body = [0x20, 0, number, entity, instance, 0x7f, 0x68, sensor.kind, 0x01] + events * 2 + [mask, mask, 0, sensor.unit, 0, 0]
    body += [sensor.factor & 255, sensor.factor >> 8 << 6, 0, 0, 0, 0, 1, sensor.value // sensor.factor, 0xff, 0, 0xff, 0]
    return framed(0x01, body + limits + [1, 1, 0, 0, 0] + name)


def framed(kind, body):
    return [0, 0, 0x51, kind, len(body)] + body


@dataclasses.dataclass
class Part:
    """A part with a memory of its own that tells what it is (FRU). Number 0 is the machine."""
    number: int
    name: str
    entity: tuple
    model: str
    serial: str


def parts(node):
    """Serial numbers follow from the node's name, so that two runs agree."""
    found = [Part(0, "Chassis", (CHASSIS, 1), "PL-2U", "%s-CH1" % node.upper())]
    return found + [Part(n, "PS%d" % n, (POWER, n), "PSU-800W", "%s-PS%d" % (node.upper(), n)) for n in range(1, SUPPLIES + 1)]


def locator(part):
    """The record that says where the part's memory is."""
    return framed(0x11, [0x20, part.number, 0x80, 0, 0, 0x10, 0, *part.entity, 0, 0xc0 | len(part.name)] + list(part.name.encode()))


def memory(part, serial=None):
    """The part's memory, always PART_BYTES: a header and one product area (maker, name, number, version, serial)."""
    # No text of one byte: its length would read as the end mark.
    texts = ["Pitlane Lab", part.model, part.model + "-A", "1.0", serial or part.serial, "", ""]
    area = [1, 0, 25] + [byte for text in texts for byte in [0xc0 | len(text)] + list(text.encode())] + [0xc1]
    area += [0] * (-(len(area) + 1) % 8)
    area[1] = (len(area) + 1) // 8
    header = [1, 0, 0, 0, 1, 0, 0]
    body = bytes(header + [-sum(header) % 256] + area + [-sum(area) % 256])
    return body.ljust(PART_BYTES, b"\0")


PART_BYTES = 256
