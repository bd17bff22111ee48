"""A client of mdx's REST API, written for the tests from its description.

It behaves as the public one is said to: a new token after every call, in `finally`; paths joined to the end point; `null` as
the body of a POST without arguments; any status but the expected one is an error; names predicted from ranges; tasks matched by
the first record of a machine's history; waiting by looking again and again. Only Python's own library is used.

    client.py END_POINT CREDENTIALS SCENARIO

CREDENTIALS is `user:password`. A scenario prints what the one who started it is to do, a line each, and ends with `done`.
"""

import base64
import ipaddress
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

PAUSE = 0.05
LOOKS = 1200
OFF = ("PowerOFF", "Deallocated")
SPEC = {"catalog", "template_name", "pack_num", "pack_type", "gpu", "disk_size", "network_adapters", "shared_key",
        "storage_network", "service_level"}


class RestError(Exception):
    def __init__(self, message, status=0):
        super().__init__(message)
        self.status = status


class Reply:
    def __init__(self, status, body):
        self.status = status
        self.text = body.decode()

    def json(self):
        return json.loads(self.text)


class Rest:
    """The calls, one by one."""

    def __init__(self, endpoint, token=None):
        self.endpoint = endpoint
        self.token = token
        self.asked = []

    def call(self, path, method="GET", data=None, with_token=True, renew=True):
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if with_token:
            if self.token is None:
                raise RestError("there is no token")
            headers["Authorization"] = "JWT " + self.token
        url = urllib.parse.urljoin(self.endpoint, path)
        body = None
        if method == "GET" and data:
            url += ("&" if "?" in url else "?") + urllib.parse.urlencode(data)
        elif method == "POST":
            body = json.dumps(data).encode()
        elif method == "PUT":
            body = data.encode()
        self.asked.append((method, path))
        try:
            request = urllib.request.Request(url, data=body, headers=headers, method=method)
            try:
                with urllib.request.urlopen(request) as answer:
                    return Reply(answer.status, answer.read())
            except urllib.error.HTTPError as refused:
                return Reply(refused.code, refused.read())
        finally:
            if renew:
                self.renew()

    def must(self, expected, path, method="GET", data=None):
        reply = self.call(path, method, data)
        if reply.status != expected:
            raise RestError("{} {}: {} {}".format(method, path, reply.status, reply.text), reply.status)
        return reply

    def login(self, username, password):
        said = {"username": username, "password": password}
        reply = self.call("/api/login/", "POST", said, with_token=False, renew=False)
        if reply.status != 200:
            raise RestError("login is failed: " + reply.text, reply.status)
        self.token = reply.json()["token"]

    def renew(self):
        reply = self.call("/api/refresh/", "POST", {"token": self.token}, renew=False)
        if reply.status != 200:
            raise RestError("token refresh failed")
        self.token = reply.json()["token"]

    def pages(self, path, size):
        page = 1
        while True:
            some = self.must(200, path, data={"page": page, "page_size": size}).json()
            yield from some["results"]
            if some["next"] is None:
                return
            page += 1

    def vm_list(self, project):
        return self.must(200, "/api/vm/project/{}/".format(project), data={"page": 1, "page_size": 10000}).json()["results"]

    def vm(self, vm):
        found = self.must(200, "/api/vm/{}/".format(vm)).json()
        found["vm_id"] = vm
        return found

    def vm_history(self, vm):
        return self.must(200, "/api/history/vm/{}/?page=1&page_size=1000".format(vm)).json()["results"]

    def act(self, vm, verb, said=None):
        return self.must(202, "/api/vm/{}/{}/".format(vm, verb), "POST", said).json()


class Project:
    """What scripts use: names in place of ids, and waiting."""

    def __init__(self, rest, name):
        self.rest = rest
        for organization in rest.must(200, "/api/project/assigned/").json():
            for project in organization["projects"]:
                if project["name"] == name:
                    self.id = project["uuid"]
                    return
        raise RestError("there is no project " + name)

    def segments(self):
        return self.rest.must(200, "/api/segment/project/{}/all/".format(self.id)).json()

    def find(self, name):
        for vm in self.rest.pages("/api/vm/project/{}/".format(self.id), 100):
            if vm["name"] == name:
                return vm["uuid"]
        return None

    def vm_id(self, name):
        found = self.find(name)
        if found is None:
            raise RestError("vm {} is not found".format(name))
        return found

    def info(self, name):
        found = self.find(name)
        return None if found is None else self.rest.vm(found)

    def until(self, vm, status):
        for _ in range(LOOKS):
            time.sleep(PAUSE)
            if self.rest.vm(vm)["status"] == status:
                return
        raise RestError("waited in vain for {}".format(status))

    def deploy(self, name, spec, wait=True):
        unknown = set(spec) - SPEC
        assert not unknown, unknown
        said = dict(spec, os_type="Linux", power_on=True, project=self.id, vm_name=name)
        tasks = self.rest.must(202, "/api/vm/deploy/", "POST", said).json()["task_id"]
        records = []
        for predicted in names(name):
            for task in list(tasks):
                record = self.record(predicted, task)
                if record is not None:
                    records.append(record)
                    tasks.remove(task)
                    break
        if wait:
            for record in records:
                self.until(record["object_uuid"], "PowerON")
                self.until_address(record["object_uuid"])
        return [self.rest.vm(record["object_uuid"]) for record in records]

    def record(self, name, task):
        for _ in range(10):
            found = [vm for vm in self.rest.vm_list(self.id) if vm["name"] == name]
            if found:
                first = self.rest.vm_history(found[0]["uuid"])[0]
                return first if first["uuid"] == task else None
            time.sleep(PAUSE)
        return None

    def until_address(self, vm):
        for _ in range(LOOKS):
            address = self.rest.vm(vm)["service_networks"][0]["ipv4_address"][0]
            if is_address(address):
                return address
            time.sleep(PAUSE)
        raise RestError("waited in vain for an address")

    def clone(self, source, name, spec, power_on=True):
        said = dict(spec, project=self.id, vm_name=name, os_type="Linux")
        self.rest.must(202, "/api/vm/{}/clone/".format(self.vm_id(source)), "POST", said)
        clone = [vm for vm in self.rest.vm_list(self.id) if vm["name"] == name]
        assert clone, "the clone is not in the list"
        clone = clone[0]["uuid"]
        self.until(clone, "PowerOFF")
        if power_on:
            self.rest.act(clone, "power_on", {"service_level": spec.get("service_level")})
            self.until(clone, "PowerON")
        return self.rest.vm(clone)

    def power_on(self, name, service_level="spot"):
        vm = self.vm_id(name)
        status = self.rest.vm(vm)["status"]
        if status == "PowerON":
            return
        assert status in OFF, status
        self.rest.act(vm, "power_on", {"service_level": service_level})
        self.until(vm, "PowerON")

    def off(self, name, verb):
        vm = self.vm_id(name)
        status = self.rest.vm(vm)["status"]
        if status in OFF:
            return
        assert status == "PowerON", status
        self.rest.act(vm, verb)
        self.until(vm, "PowerOFF")

    def reboot(self, name):
        vm = self.vm_id(name)
        assert self.rest.vm(vm)["status"] == "PowerON"
        self.rest.act(vm, "reboot")
        self.until(vm, "PowerON")

    def destroy(self, name):
        vm = self.vm_id(name)
        assert self.rest.vm(vm)["status"] in OFF
        self.rest.act(vm, "destroy")
        for _ in range(LOOKS):
            time.sleep(PAUSE)
            if self.rest.call("/api/vm/{}/".format(vm)).status == 404:
                return
        raise RestError("it is still there")


def names(text):
    found = re.match(r"^(.*)\[(\d+)-(\d+)\](.*)$", text)
    if found:
        before, first, last, behind = found.groups()
        width = max(len(first), len(last))
        return [before + str(number).zfill(width) + behind for number in range(int(first), int(last) + 1)]
    return [re.sub(r"^(.*)\[(\d+)\](.*)$", r"\1\2\3", text)]


def is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return re.match(r"^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$", text) is not None


def refused(status, rest, path, method="POST", data=None):
    reply = rest.call(path, method, data)
    assert reply.status == status, (path, data, reply.status, reply.text)
    return reply.json()


def spec(project, **changes):
    found = {
        "catalog": "32da6d82-bdca-405e-9209-62044bd92923",
        "template_name": "UT-20250205-1029-ubuntu-2204-server",
        "disk_size": 40,
        "gpu": "0",
        "pack_type": "cpu",
        "pack_num": 3,
        "network_adapters": [{"adapter_number": 1, "segment": project.segments()[0]["uuid"]}],
        "shared_key": public_key(),
        "storage_network": "portgroup",
        "service_level": "spot",
    }
    found.update(changes)
    return {field: value for field, value in found.items() if value is not None}


def public_key():
    """One that nobody has the other half of."""
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0 " + os.urandom(32)
    return "ssh-ed25519 {} workshop\n".format(base64.b64encode(blob).decode())


def ask(line):
    print(line, flush=True)


def tokens(rest, project):
    """A new token after each call, old ones stay valid, renewing works after a refusal."""
    first = rest.token
    project.segments()
    assert rest.token.count(".") == 2
    others = [Rest(rest.endpoint, first) for _ in range(3)]
    for _ in range(3):
        for other in others:
            other.must(200, "/api/project/assigned/")
    refused(404, rest, "/api/vm/00000000-0000-4000-8000-000000000000/", "GET")
    refused(405, rest, "/api/project/assigned/")
    for other in others:
        other.must(200, "/api/project/assigned/")
    dead = Rest(rest.endpoint, "x.y.z")
    try:
        dead.must(200, "/api/project/assigned/")
    except RestError as error:
        assert str(error) == "token refresh failed" and error.status == 0, error
    else:
        raise AssertionError("a dead token works")


def life(rest, project):
    """One machine, from deployment to destruction."""
    deployed = project.deploy("test-1", spec(project))
    assert len(deployed) == 1 and deployed[0]["name"] == "test-1", deployed
    vm = deployed[0]["vm_id"]
    assert deployed[0]["status"] == "PowerON" and is_address(deployed[0]["service_networks"][0]["ipv4_address"][0])
    assert (deployed[0]["cpu"], deployed[0]["memory"], deployed[0]["pack_num"]) == (3, "4.53 GB", 3)
    assert deployed[0]["hard_disks"][0]["capacity"] == "40 GB"
    project.reboot("test-1")
    until_ended(rest, vm)
    project.off("test-1", "shutdown")
    project.power_on("test-1")
    project.off("test-1", "power_off")
    project.power_on("test-1", "guarantee")
    assert project.info("test-1")["service_level"] == "起動保証仮想マシン"
    refused(400, rest, "/api/vm/{}/destroy/".format(vm))
    project.off("test-1", "shutdown")
    project.destroy("test-1")
    assert project.info("test-1") is None
    kinds = [record["type"] for record in rest.vm_history(vm)]
    assert kinds[0] == "削除" and kinds[-1] == "デプロイ", kinds
    whole = list(rest.pages("/api/history/project/{}/".format(project.id), 10000))
    mine = [record for record in whole if record["object_uuid"] == vm]
    assert [record["type"] for record in mine] == kinds
    assert all(record["status"] == "Completed" and record["end_datetime"] for record in mine), mine


def ranges(rest, project):
    """Many machines by one request: every one is matched, with one look each."""
    before = len(rest.asked)
    deployed = project.deploy("n[08-11]", spec(project), wait=False)
    assert [vm["name"] for vm in deployed] == ["n08", "n09", "n10", "n11"], deployed
    looks = [path for _, path in rest.asked[before:] if path.startswith("/api/history/vm/")]
    assert len(looks) == 4, looks
    more = project.deploy("one[5]", spec(project))
    assert [vm["name"] for vm in more] == ["one5"]
    for name in ["n08", "n11"]:
        project.until(project.vm_id(name), "PowerON")
        project.until_address(project.vm_id(name))
    addresses = {project.info(name)["service_networks"][0]["ipv4_address"][0] for name in ["n08", "n09", "n10", "n11"]
                 if project.until_address(project.vm_id(name))}
    assert len(addresses) == 4, addresses


def wire(rest, project):
    """Statuses and shapes, call by call, and what is refused."""
    said = dict(spec(project), os_type="Linux", power_on=True, project=project.id)
    for name in ["計算", "a[1-2][3-4]", "a[1-201]", "a b", "-a", "a[", ""]:
        assert "vm_name" in refused(400, rest, "/api/vm/deploy/", data=dict(said, vm_name=name)), name
    for field, value in [("pack_num", 0), ("pack_num", 153), ("pack_type", "tpu"), ("service_level", "gold"),
                         ("storage_network", "tape"), ("template_name", "UT-20220412-2043-ubuntu-2004-server"),
                         ("catalog", "x"), ("network_adapters", [{"adapter_number": 1, "segment": "x"}])]:
        answer = refused(400, rest, "/api/vm/deploy/", data=dict(said, vm_name="a", **{field: value}))
        assert any(key.startswith(field) for key in answer), (field, answer)
    refused(400, rest, "/api/vm/deploy/", data=None)
    task = rest.must(202, "/api/vm/deploy/", "POST", dict(said, vm_name="w", colour="red")).json()["task_id"]
    assert isinstance(task, list) and len(task) == 1, task
    vm = project.vm_id("w")
    refused(400, rest, "/api/vm/deploy/", data=dict(said, vm_name="w"))
    assert rest.vm(vm)["service_networks"][0]["ipv4_address"], "an address that is none must be there"
    record = rest.must(200, "/api/task/{}/".format(task[0])).json()
    assert (record["type"], record["object_uuid"]) == ("デプロイ", vm), record
    project.until(vm, "PowerON")
    for verb in ["reset", "reboot"]:
        assert rest.act(vm, verb)["task_id"]
        project.until(vm, "PowerON")
        until_ended(rest, vm)
    # The client would not ask, others may.
    refused(400, rest, "/api/vm/{}/power_on/".format(vm), data={"service_level": "spot"})
    project.off("w", "power_off")
    until_ended(rest, vm)
    for verb in ["power_off", "shutdown", "reboot", "reset"]:
        refused(400, rest, "/api/vm/{}/{}/".format(vm, verb))
    change = {"hard_disks": [{"disk_number": 1, "device_key": 2000, "capacity": 50}], "pack_num": 5,
              "network_adapters": spec(project)["network_adapters"]}
    assert rest.act(vm, "reconfigure", change)["task_id"]
    until_ended(rest, vm)
    detail = rest.vm(vm)
    assert (detail["hard_disks"][0]["capacity"], detail["pack_num"]) == ("50 GB", 5), detail
    assert isinstance(rest.act(vm, "destroy")["task_id"], str)
    gone = "/api/vm/00000000-0000-4000-8000-000000000000/"
    for verb in ["destroy", "shutdown", "power_on", "clone"]:
        refused(404, rest, gone + verb + "/", data=None)


def until_ended(rest, vm):
    for _ in range(LOOKS):
        if rest.vm_history(vm)[0]["status"] != "Running":
            return
        time.sleep(PAUSE)
    raise RestError("the task does not end")


def clones(rest, project):
    """A clone is in the list at once, ends off, and starts with a level that is null."""
    project.deploy("source", spec(project))
    project.off("source", "shutdown")
    clone_spec = {"storage_network": "portgroup", "pack_type": "cpu", "pack_num": 4,
                  "network_adapters": spec(project)["network_adapters"]}
    clone = project.clone("source", "copy", clone_spec)
    assert (clone["status"], clone["pack_num"]) == ("PowerON", 4), clone
    record = [record for record in rest.vm_history(clone["vm_id"]) if record["type"] == "クローン"]
    assert record and record[0]["status"] == "Completed", record


def older(rest, project):
    """An older client: no service level, no storage network, no waiting by tasks."""
    said = spec(project, service_level=None, storage_network=None, gpu=None)
    rest.must(202, "/api/vm/deploy/", "POST", dict(said, vm_name="old", project=project.id, os_type="Linux", power_on=True))
    vm = project.vm_id("old")
    project.until(vm, "PowerON")
    assert project.until_address(vm)
    assert project.info("old")["service_level"] == "スポット仮想マシン"


def failing(rest, project):
    """A deployment that fails is readable by the machine's id and in both histories."""
    ask("fail broken")
    said = dict(spec(project), vm_name="broken", project=project.id, os_type="Linux", power_on=True)
    task = rest.must(202, "/api/vm/deploy/", "POST", said).json()["task_id"][0]
    for _ in range(LOOKS):
        record = rest.must(200, "/api/task/{}/".format(task)).json()
        if record["status"] != "Running":
            break
        time.sleep(PAUSE)
    assert record["status"] == "Failed" and record["error_message"], record
    assert rest.vm_history(record["object_uuid"])[0] == record
    whole = list(rest.pages("/api/history/project/{}/".format(project.id), 10000))
    assert record in whole
    assert project.info("broken") is None


def moving(rest, project):
    """A guest that takes another address is shown with it."""
    project.deploy("roam", spec(project))
    ask("address roam 10.15.0.77")
    for _ in range(LOOKS):
        if project.info("roam")["service_networks"][0]["ipv4_address"][0] == "10.15.0.77":
            return
        time.sleep(PAUSE)
    raise RestError("the address is not shown")


def networks(rest, project):
    """Rules and mappings: made, changed, listed, deleted."""
    segment = project.segments()[0]
    assert segment["default"] is True
    summary = rest.must(200, "/api/segment/{}/summary".format(segment["uuid"])).json()
    assert isinstance(summary["vlan_id"], int) and isinstance(summary["vni"], int), summary
    assert ipaddress.ip_network(summary["ip_range"], strict=False)
    rule = {"protocol": "TCP", "src_address": "192.0.2.0", "src_mask": 24, "src_port": "any", "dst_address": "10.15.0.4",
            "dst_mask": "32", "dst_port": "443", "segment": segment["uuid"]}
    made = rest.must(201, "/api/acl/", "POST", rule).json()
    path = "/api/acl/{}/".format(made["uuid"])
    change = {field: value for field, value in rule.items() if field != "segment"}
    changed = rest.must(200, path, "PUT", json.dumps(dict(change, src_mask="255.255.255.0", dst_port="22"))).json()
    assert (changed["uuid"], changed["src_mask"], changed["dst_port"]) == (made["uuid"], "255.255.255.0", "22"), changed
    listed = rest.must(200, "/api/acl/segment/{}/?page=1&page_size=10000".format(segment["uuid"])).json()["results"]
    assert changed in listed
    answer = refused(400, rest, "/api/acl/", data=dict(rule, src_mask="255.0.255.0"))
    assert "src_mask" in answer, answer
    answer = refused(400, rest, "/api/acl/", data=dict(rule, dst_address="172.16.0.1"))
    assert "dst_address" in answer, answer
    assert rest.must(204, path, "DELETE").text == ""
    refused(404, rest, path, "DELETE")
    icmp = dict(rule, protocol="ICMP", src_port="Any", dst_port="Any")
    made = rest.must(201, "/api/acl/", "POST", icmp).json()
    assert (made["protocol"], made["dst_port"]) == ("ICMP", "Any"), made
    six = dict(rule, src_address="2001:db8::", src_mask=64, dst_address="2001:db8:1::4", dst_mask=128)
    made = rest.must(201, "/api/acl_v6/", "POST", six).json()
    assert (made["src_mask"], made["dst_mask"]) == ("64", "128"), made
    path = "/api/acl_v6/{}/".format(made["uuid"])
    rest.must(200, path, "PUT", json.dumps(dict(six, dst_port="8000-8080")))
    refused(404, rest, "/api/acl/{}/".format(made["uuid"]), "DELETE")
    rest.must(204, path, "DELETE")
    refused(400, rest, "/api/acl_v6/", data=rule)

    free = rest.must(200, "/api/global_ip/project/{}/assignable/".format(project.id)).json()
    assert len(free) == 2, free
    mapping = {"pool_address": free[0], "segment": segment["uuid"], "dst_address": "10.15.0.4"}
    made = rest.must(201, "/api/dnat/", "POST", mapping).json()
    left = rest.must(200, "/api/global_ip/project/{}/assignable/".format(project.id)).json()
    assert left == free[1:], left
    refused(400, rest, "/api/dnat/", data=mapping)
    path = "/api/dnat/{}/".format(made["uuid"])
    changed = rest.must(200, path, "PUT", json.dumps(dict(mapping, dst_address="10.15.0.5"))).json()
    listed = list(rest.pages("/api/dnat/project/{}".format(project.id), 100))
    assert [(row["pool_address"], row["segment"], row["dst_address"]) for row in listed] \
        == [(free[0], segment["name"], "10.15.0.5")], listed
    assert changed["uuid"] == made["uuid"]
    rest.must(204, path, "DELETE")
    assert rest.must(200, "/api/global_ip/project/{}/assignable/".format(project.id)).json() == free
    refused(400, rest, "/api/dnat/", data=dict(mapping, dst_address="172.16.0.1"))
    kinds = {record["type"] for record in rest.pages("/api/history/project/{}/".format(project.id), 10000)}
    assert {noun + verb for noun in ("DNAT", "ACL") for verb in ("の追加", "の編集", "の削除")} <= kinds, kinds
    deleted = rest.must(200, "/api/history/project/{}/".format(project.id), data={"type": "DNATの削除"}).json()
    assert deleted["count"] == 1 and deleted["results"][0]["object_uuid"] == made["uuid"], deleted


SCENARIOS = [tokens, life, ranges, wire, clones, older, failing, moving, networks]


def main():
    endpoint, credentials, wanted = sys.argv[1:]
    rest = Rest(endpoint)
    rest.login(*credentials.split(":", 1))
    project = Project(rest, "lab")
    for scenario in SCENARIOS:
        if scenario.__name__ == wanted:
            scenario(rest, project)
            ask("done")
            return
    raise SystemExit("there is no scenario " + wanted)


if __name__ == "__main__":
    main()
