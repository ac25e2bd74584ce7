"""The files of the role monitoring, rendered by Ansible itself, as Prometheus and Alertmanager take them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from appliance.host.command import run
from appliance.monitor.duty.alertmanager import read_alertmanagers
from appliance.monitor.duty.plan import read_plan
from appliance.monitor.scrape import SAMPLES_MAX
from appliance.provision import exporters
from tests.integration.coordination.authorities import authority
from tests.worlds.towns import bundle, town

ROOT = Path(__file__).parents[3]
DOMAIN = "lab.internal"
RULES = ROOT / "roles/monitoring/files/alerts.rules"
CASE = ROOT / "tests/cases/hosts/territory.yml"
WITHOUT_ROSTER = ROOT / "tests/cases/monitor/alertmanager.golden"
TLS = {"root.pem": "root.pem", "certificate.pem": "hermitage.pem", "key.pem": "hermitage.key"}
PLAY = """
- hosts: hermitage
  gather_facts: false
  connection: local
  vars_files: [{root}/roles/exporters/defaults/main.yml, {root}/roles/exporters/vars/main.yml,
    {root}/roles/monitoring/defaults/main.yml, {root}/roles/monitoring/vars/main.yml, {folder}/declared.yml]
  tasks:
    - ansible.builtin.template:
        src: {root}/roles/monitoring/templates/{{{{ item }}}}.j2
        dest: {folder}/{{{{ item }}}}
        mode: "0644"
      loop: [prometheus.yml, alertmanager.yml]
    - ansible.builtin.copy:
        content: "{{{{ monitoring_prometheus_args + monitoring_alertmanager_args + monitoring_alertmanager_peers }}}}"
        dest: {folder}/arguments
        mode: "0644"
    - ansible.builtin.copy:
        content: "{{{{ monitoring_reached }}}}"
        dest: {folder}/outbox.json
        mode: "0644"
    - ansible.builtin.copy:
        content: "{{{{ monitoring_called | to_json }}}}"
        dest: {folder}/called.json
        mode: "0644"
"""
DECLARED = """
exporters_tls: {folder}/tls
monitoring_rules: {root}/roles/monitoring/files/alerts.rules
monitoring_bounds: "{{{{ lookup('ansible.builtin.file', '{root}/roles/monitoring/files/scrape.json') | from_json }}}}"
monitoring_addressees: {{regie: {{url: "http://x"}}, sms: {{url: "http://y"}}}}
monitoring_watchdog_url: https://veille.example/ping
"""


ROSTER = """  alice: {title: Alice Martin, addressees: [alice-mail, sms]}
  bob: {title: Bob Petit, addressees: [bob-mail]}
  carol: {title: Carol Durand, addressees: [carol-mail]}

duty:
  rotation: [alice, bob, carol]
  since: 2026-W49
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the role would write at the first of two monitoring nodes."""
    return written(tmp_path_factory.mktemp("monitoring"), CASE.read_text())


@pytest.fixture(scope="module")
def with_roster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("roster"), CASE.read_text().rstrip() + "\n" + ROSTER)


def written(folder: Path, territory: str) -> Path:
    text = territory.replace("address: 10.77.1.10,", "address: 10.77.1.10, roles: [monitor],")
    assert text.count("roles: [") == 2
    (folder / "territory.yml").write_text(text)
    (folder / "play.yml").write_text(PLAY.format(root=ROOT, folder=folder))
    (folder / "declared.yml").write_text(DECLARED.format(root=ROOT, folder=folder))
    papers = authority(folder / "papers")
    (folder / "tls").mkdir()
    for name, source in {
        "root.pem": "root.pem",
        "certificate.pem": "hermitage.pem",
        "key.pem": "hermitage.key",
    }.items():
        (folder / "tls" / name).write_bytes((papers / source).read_bytes())
    argv = ("ansible-playbook", "-i", str(folder / "territory.yml"), str(folder / "play.yml"))
    env = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": str(folder / "home"), "LC_ALL": "C.UTF-8"}
    played = run(argv, timeout_seconds=120, env=env, cwd=folder)
    assert played.exit_code == 0, played.stdout.decode()
    return folder


def says(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_it(made: Path) -> None:
    assert "SUCCESS" in says("promtool", "check", "config", str(made / "prometheus.yml"))
    towns = bundle((town("hermitage", 1, roles=("standby", "monitor")), town("commune-a", 2)))
    (web, *_) = exporters.part(towns, "commune-a", certified=True).files
    (made / "web.yml").write_text(web.text.replace(exporters.TLS, str(made / "tls")))
    says("promtool", "check", "web-config", str(made / "web.yml"))


def test_alertmanager_takes_it(made: Path) -> None:
    says("amtool", "check-config", str(made / "alertmanager.yml"))


def test_without_a_roster_alertmanager_and_the_queue_get_what_they_got_before_there_were_rosters(made: Path) -> None:
    assert (made / "alertmanager.yml").read_text() == WITHOUT_ROSTER.read_text()
    everybody = ["regie", "sms"]
    assert json.loads((made / "outbox.json").read_text()) == {
        "addressees": {"regie": {"url": "http://x"}, "sms": {"url": "http://y"}},
        "alertmanagers": {
            "urls": [f"https://{it}.{DOMAIN}:9093" for it in ("hermitage", "commune-a")],
            "tls": str(made / "tls"),
        },
        "receivers": {"essai": everybody, "astreinte": everybody, "recapitulatif": everybody, "regie": everybody},
    }
    assert json.loads((made / "called.json").read_text()) == []


def test_alertmanager_takes_a_roster_and_so_does_the_queue(with_roster: Path) -> None:
    says("amtool", "check-config", str(with_roster / "alertmanager.yml"))
    settings = json.loads((with_roster / "outbox.json").read_text())
    named = [f"https://{it}.{DOMAIN}:9093" for it in ("hermitage", "commune-a")]
    assert read_alertmanagers(settings).urls == tuple(named), "its own first"
    plan = read_plan(settings["duty"])
    assert plan is not None
    assert (plan.roster.rotation, list(plan.persons)) == (("alice", "bob", "carol"), ["alice", "bob", "carol"])
    assert json.loads((with_roster / "called.json").read_text()) == ["alice-mail", "sms", "bob-mail", "carol-mail"]


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("alertname=Watchdog severity=none", "veille"),
        ("alertname=RecapitulatifHebdomadaire severity=digest", "recapitulatif"),
        ("alertname=FauxSucces severity=critical", "astreinte-2,astreinte-3,astreinte"),
        ("alertname=MairieInjoignable severity=critical site=a", "astreinte-2,astreinte-3,astreinte"),
        ("alertname=Surchauffe severity=warning", "regie-2,regie-3,regie"),
        ("alertname=RepliqueEnRetard severity=warning", "regie-2,regie-3,regie"),
        ("alertname=SansGravite", "regie-2,regie-3,regie"),
    ],
)
def test_with_a_roster_an_alert_has_a_receiver_for_each_person(with_roster: Path, labels: str, receivers: str) -> None:
    routes = ("amtool", "config", "routes", "test", f"--config.file={with_roster / 'alertmanager.yml'}")
    assert says(*routes, *labels.split()).strip() == receivers


def test_each_person_has_a_longer_wait_than_the_one_before(with_roster: Path) -> None:
    config = yaml.safe_load((with_roster / "alertmanager.yml").read_text())
    waits = {it["receiver"]: it["group_wait"] for it in config["route"]["routes"] if it.get("continue")}
    assert waits == {"astreinte-2": "1800s", "astreinte-3": "3600s", "regie-2": "28800s", "regie-3": "57600s"}


def test_what_keeps_an_alert_quiet_is_an_alert_and_so_is_what_is_kept_quiet(made: Path) -> None:
    rules = yaml.safe_load(RULES.read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    for inhibited in yaml.safe_load((made / "alertmanager.yml").read_text())["inhibit_rules"]:
        for matcher in (*inhibited["source_matchers"], *inhibited["target_matchers"]):
            label, _, names = matcher.replace("=~", "=").partition("=")
            assert label != "alertname" or set(names.strip('"').split("|")) <= alerts


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=Watchdog severity=none", "veille"),
        ("alertname=RecapitulatifHebdomadaire severity=digest", "recapitulatif"),
        ("alertname=FauxSucces severity=critical", "astreinte"),
        ("alertname=MairieInjoignable severity=critical site=a", "astreinte"),
        ("alertname=Surchauffe severity=warning", "regie"),
        ("alertname=RepliqueEnRetard severity=warning", "regie"),
    ],
)
def test_each_alert_goes_to_one_receiver(made: Path, labels: str, receiver: str) -> None:
    routes = ("amtool", "config", "routes", "test", f"--config.file={made / 'alertmanager.yml'}")
    assert says(*routes, *labels.split()).strip() == receiver


def test_every_node_is_asked_under_its_name_and_each_site_watches_the_other(made: Path) -> None:
    config = yaml.safe_load((made / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    named = {name: [it["labels"]["node"] for it in job["static_configs"]] for name, job in jobs.items()}
    assert named["appliance"] == named["node"] == ["commune-a", "commune-b", "commune-c", "hermitage"]
    assert named["prometheus"] == named["alertmanager"] == ["commune-a", "hermitage"]
    assert named["services"] == named["node"]
    assert named["outbox"] == named["blackbox"] == ["hermitage"], "who tells and who looks are asked themselves"
    assert named["presence"] == named["node"], "and every machine is pinged, the own one too"
    for job in ("appliance", "node", "prometheus", "alertmanager"):
        assert jobs[job]["scheme"] == "https"
        assert jobs[job]["tls_config"]["ca_file"].endswith("root.pem")
    assert {name: job["sample_limit"] for name, job in jobs.items()} == dict.fromkeys(jobs, SAMPLES_MAX)
    arguments = (made / "arguments").read_text()
    assert "--storage.tsdb.retention.size=5GB" in arguments
    assert "--cluster.peer=" in arguments


def test_a_machine_is_pinged_every_five_seconds_under_the_name_of_its_town(made: Path) -> None:
    """The bound on a letter about a dark town, and what a short cut may last, are counted from these five seconds."""
    config = yaml.safe_load((made / "prometheus.yml").read_text())
    [job] = [it for it in config["scrape_configs"] if it["job_name"] == "presence"]
    assert (job["scrape_interval"], job["scrape_timeout"]) == ("5s", "4s")
    labels = {it["labels"]["town"]: it["labels"]["module"] for it in job["static_configs"]}
    assert labels["L'Hermitage"] == "icmp"
    [group] = [it for it in yaml.safe_load(RULES.read_text())["groups"] if it["name"] == "presence"]
    assert group["interval"] == "5s"


def test_both_sites_send_every_alert_to_both_alertmanagers_and_nothing_in_an_alert_says_which_sent_it(
    made: Path,
) -> None:
    config = yaml.safe_load((made / "prometheus.yml").read_text())
    [manager] = config["alerting"]["alertmanagers"]
    assert len(manager["static_configs"][0]["targets"]) == 2
    assert "external_labels" not in config["global"]
