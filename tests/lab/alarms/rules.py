"""The alerting rules, as we advise operators to write them but with spans for a test.

One alert for each fault, a rule for the fan that comes and goes (a webhook hides most of its episodes), counters by their rate,
and `up == 0 or ipmi_up == 0`, because a BMC slower than the scrape has no ipmi_up at all.
"""

# alert, class, severity, expression, spell, summary. The spell is `for`: "" is the lab's own (--for).
RULES = (
    ("IpmiFanSpeedBad", "fan", "critical", "ipmi_fan_speed_state > 0", "", "fan {{ $labels.name }} of {{ $labels.node }} is in state {{ $value }}"),
    ("HostFanAlarm", "fan", "critical", "node_hwmon_fan_alarm == 1", "", "{{ $labels.sensor }} of {{ $labels.node }} raises its alarm"),
    ("IpmiTemperatureBad", "temperature", "critical", "ipmi_temperature_state > 0", "",
     "{{ $labels.name }} of {{ $labels.node }} is in state {{ $value }}"),
    ("IpmiPowerSupplyBad", "psu", "critical", 'ipmi_sensor_state{type="Power Supply"} > 0', "",
     "{{ $labels.name }} of {{ $labels.node }} is in state {{ $value }}"),
    ("IpmiMemoryBad", "ecc", "critical", 'ipmi_sensor_state{type="Memory"} == 2', "", "{{ $labels.name }} of {{ $labels.node }} is in state {{ $value }}"),
    ("HostEdacUncorrectable", "ecc", "critical", "node_edac_uncorrectable_errors_total > 0", "0s",
     "{{ $labels.node }} has {{ $value }} memory errors that could not be corrected"),
    # One flipped bit now and then is normal; many within a minute are a module that dies.
    ("HostEdacCorrectable", "ecc", "warning", "increase(node_edac_correctable_errors_total[1m]) > 10", "0s",
     "{{ $labels.node }} corrected {{ $value }} memory errors within a minute"),
    ("SmartUnhealthy", "disk", "critical", "smartmon_device_smart_healthy == 0", "", "{{ $labels.disk }} of {{ $labels.node }} fails SMART"),
    ("IpmiDriveBad", "disk", "critical", 'ipmi_sensor_state{type="Drive Slot"} > 0', "",
     "{{ $labels.name }} of {{ $labels.node }} is in state {{ $value }}"),
    ("MdRaidDegraded", "disk", "critical", 'node_md_disks{state="failed"} > 0', "", "{{ $labels.device }} of {{ $labels.node }} lost a member"),
    ("HostBondDegraded", "nic", "warning", "node_bonding_slaves - node_bonding_active > 0", "",
     "{{ $labels.master }} of {{ $labels.node }} lost a link"),
    ("IpmiCollectorDown", "bmc", "warning", 'up{job="ipmi"} == 0 or on(instance) ipmi_up{collector="ipmi"} == 0', "3s",
     "the BMC of {{ $labels.node }} does not answer"),
    ("HostDown", "node-down", "critical", 'up{job="node"} == 0', "3s", "{{ $labels.node }} does not answer"),
)


def text(spell, keep_firing, flap_window):
    """The rules file. A window of "0s" leaves out the rule for what flaps; keep_firing "0s" keeps nothing alive."""
    lines = ["groups:", "- name: hardware", "  interval: 1s", "  rules:"]
    for alert, kind, severity, expression, own, summary in RULES:
        lines += rule(alert, kind, severity, expression, summary, {"for": own or spell, "keep_firing_for": "0s" if own else keep_firing})
    if flap_window != "0s":
        lines += rule("IpmiFanFlapping", "fan", "warning", "changes(ipmi_fan_speed_state[%s]) > 3" % flap_window,
                      "fan {{ $labels.name }} of {{ $labels.node }} changed its state {{ $value }} times", {"keep_firing_for": flap_window})
    return "\n".join(lines) + "\n"


def rule(alert, kind, severity, expression, summary, spans):
    return (["  - alert: " + alert, "    expr: " + expression] + ["    %s: %s" % span for span in spans.items() if span[1] != "0s"]
            + ["    labels: {severity: %s, alarm_class: %s}" % (severity, kind), '    annotations: {summary: "%s"}' % summary])
