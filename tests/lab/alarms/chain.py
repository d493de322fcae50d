"""From exporters to the webhook: FreeIPMI's exporter, Prometheus with our rules, one Alertmanager or a gossiping pair."""
import json, urllib.parse, urllib.request

import labkit

from alarms import bmc, host, machine, rules

PACKAGES = "prometheus prometheus-alertmanager prometheus-ipmi-exporter"
TOOLS = ("prometheus", "prometheus-alertmanager", "prometheus-ipmi-exporter", "prometheus-node-exporter")
HERE = "127.0.0.1:%d"


def prometheus_yml(lab, a, boards, ports):
    def targets(addresses):
        return "".join("  - targets: ['%s']\n    labels: {node: '%s'}\n" % (address, node) for node, address in addresses.items())

    hosts = {node: HERE % port for node, port in zip(a.nodes, ports["hosts"])}
    return """global: {scrape_interval: %s, scrape_timeout: %s, evaluation_interval: 1s, external_labels: {cluster: lab}}
rule_files: ['%s/rules.yml']
alerting: {alertmanagers: [{static_configs: [{targets: %s}]}]}
scrape_configs:
- job_name: ipmi
  metrics_path: /ipmi
  params: {module: [lab]}
  static_configs:
%s  relabel_configs:
  - {source_labels: [__address__], target_label: __param_target}
  - {source_labels: [__param_target], target_label: instance}
  - {target_label: __address__, replacement: '%s'}
- job_name: node
  static_configs:
%s""" % (a.interval, a.interval, lab.dir, [HERE % port for port in ports["alertmanagers"]], targets(boards), HERE % ports["exporter"], targets(hosts))


def write(lab, a, boards, ports):
    labkit.put(lab.dir / "rules.yml", rules.text(a.for_, a.keep_firing, a.flap_window))
    labkit.put(lab.dir / "prometheus.yml", prometheus_yml(lab, a, boards, ports))
    # ipmi_sim refuses FreeIPMI's session request without the workaround.
    labkit.put(lab.dir / "ipmi.yml", """modules:
  lab:
    {user: '%s', pass: '%s', driver: LAN_2_0, privilege: admin, timeout: 5000, workaround_flags: [opensesspriv], collectors: [ipmi],
     custom_args: {ipmi: ['--sdr-cache-directory=%s/sdr']}}
""" % (bmc.USER, bmc.PASSWORD, lab.dir))
    bearer = "    http_config: {authorization: {type: Bearer, credentials_file: '%s'}}\n" % a.token_file.absolute() if a.token_file else ""
    labkit.put(lab.dir / "alertmanager.yml", """route: {receiver: hook, group_by: [node, alertname], group_wait: %s, group_interval: %s, repeat_interval: %s}
receivers:
- name: hook
  webhook_configs:
  - url: '%s'
    send_resolved: true
%s""" % (a.group_wait, a.group_interval, a.repeat_interval, a.webhook, bearer))


def answers(url):
    with urllib.request.urlopen(url, timeout=2) as r:
        return r.read() or b"yes"


def seen(prometheus, query):
    query = urllib.parse.urlencode({"query": query})
    result = json.loads(answers("%s/api/v1/query?%s" % (prometheus, query)))["data"]["result"]
    return int(result[0]["value"][1]) if result else 0


def start_alertmanagers(lab, a, ports, gossip):
    urls = []
    for n, port in enumerate(ports, 1):
        # Without a cluster address a single one would look for peers on the machine's network.
        peers = ["--cluster.listen-address="]
        if gossip:
            peers = ["--cluster.listen-address=" + HERE % gossip[n - 1], "--cluster.peer-timeout=" + a.peer_timeout]
            peers += ["--cluster.peer=" + HERE % other for other in gossip if other != gossip[n - 1]]
        urls.append("http://" + HERE % port)
        lab.spawn("alertmanager-%d" % n, ["prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=am%d" % n,
                                          "--web.listen-address=" + HERE % port, "--web.external-url=" + urls[-1]] + peers)
    return urls


def start(lab, a):
    """Everything, up to Prometheus having seen every sensor and every host. The facts for whoever asked."""
    labkit.need("%s %s %s" % (bmc.PACKAGES, host.PACKAGES, PACKAGES), *TOOLS)
    nodes, count = len(a.nodes), 2 if a.pair else 1
    free = labkit.free_ports(2 + nodes + 2 * count)
    ports = {"prometheus": free.pop(), "exporter": free.pop(), "hosts": [free.pop() for _ in range(nodes)],
             "alertmanagers": [free.pop() for _ in range(count)]}
    boards = bmc.start(lab, a.nodes)
    write(lab, a, boards, ports)
    host.start(lab, a.nodes, ports["hosts"])
    lab.spawn("exporter", ["prometheus-ipmi-exporter", "--config.file=ipmi.yml", "--web.listen-address=" + HERE % ports["exporter"]])
    alertmanagers = start_alertmanagers(lab, a, ports["alertmanagers"], free if a.pair else [])
    bmc.wait(lab, boards)
    for n, url in enumerate(alertmanagers, 1):
        labkit.wait_for("Alertmanager", 30, lambda: lab.must_live("alertmanager-%d" % n) or answers(url + "/-/ready"))
        if a.pair:
            # One that is not in the mesh yet would tell everything a second time.
            labkit.wait_for("Alertmanager's peer", 30, lambda: len(json.loads(answers(url + "/api/v2/status"))["cluster"]["peers"]) == count)
    prometheus = "http://" + HERE % ports["prometheus"]
    lab.spawn("prometheus", ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb",
                             "--web.listen-address=" + HERE % ports["prometheus"], "--storage.tsdb.retention.time=2h",
                             "--rules.alert.resend-delay=5s", "--web.external-url=" + prometheus])
    for what, query, number in (("all fans", "count(ipmi_fan_speed_state == 0)", machine.FANS * nodes),
                                ("all hosts", 'count(up{job="node"} == 1)', nodes)):
        labkit.wait_for("Prometheus to see " + what, 40, lambda: lab.must_live(*lab.pids()) or seen(prometheus, query) == number)
    return {"prometheus": prometheus, "alertmanager": alertmanagers[0], "alertmanagers": alertmanagers,
            "exporter": "http://" + HERE % ports["exporter"], "fans": machine.FANS, **bmc_facts(boards)}


def bmc_facts(boards):
    return {"bmc": boards, "user": bmc.USER, "password": bmc.PASSWORD}
