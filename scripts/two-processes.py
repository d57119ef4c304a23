#!/usr/bin/env python3
"""One buynow on one hot SKU against two on the same database, in alternating runs.

    scripts/two-processes.py postgres|mariadb BINARY [ROUNDS [SECONDS [CONNECTIONS_OF_EACH]]]

Starts a durable PostgreSQL or MariaDB of its own (Debian's packages; run as root) and two servers,
places orders through wrk, and prints orders per second, members of a batch and rollbacks. One
process has 64 connections; each of two has 32, unless the last argument says otherwise.
"""
import html, json, os, random, re, shutil, statistics, subprocess, sys, tempfile, time, urllib.request

KIND, BINARY = sys.argv[1], os.path.abspath(sys.argv[2])
ROUNDS, SECONDS, EACH = (int(arg) for arg in (sys.argv[3:] + ["5", "4", "32"][len(sys.argv) - 3:]))
FOLDER = tempfile.mkdtemp(prefix="two-processes-")
os.chmod(FOLDER, 0o755)
DB_PORT, PORT = random.randint(20000, 29000), random.randint(30000, 39000)
PORTS = [PORT, PORT + 1]
WRK = """
local buyers = {%s}
local n = 0
request = function()
  n = n + 1
  local buyer = buyers[n %% #buyers + 1]
  wrk.headers["Authorization"] = "Bearer " .. buyer[1]
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Idempotency-Key"] = "%d-" .. n
  return wrk.format("POST", "/api/v1/orders", nil, '{"items":[{"sku_id":%d,"quantity":1}],"address_id":'
    .. buyer[2] .. ',"prepay":false}')
end
"""


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more)


def start_database():
    data = FOLDER + "/data"
    log = open(FOLDER + "/database.log", "w")
    user = "postgres" if KIND == "postgres" else "mysql"
    os.mkdir(data, 0o700)
    shutil.chown(data, user, user)
    if KIND == "postgres":
        programs = "/usr/lib/postgresql/15/bin/"
        run("runuser", "-u", user, "--", programs + "initdb", "-U", "buynow", "-A", "trust", "-E", "UTF8",
            "--no-locale", "-D", data)
        serve = ["runuser", "-u", user, "--", programs + "postgres", "-D", data, "-p", str(DB_PORT),
                 "-k", "", "-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=128MB"]
        make = ["psql", "-h", "127.0.0.1", "-p", str(DB_PORT), "-U", "buynow", "postgres", "-c"]
        url = f"postgres://buynow@127.0.0.1:{DB_PORT}/hot"
    else:
        run("mariadb-install-db", "--user=mysql", "--datadir=" + data,
            "--auth-root-authentication-method=normal")
        serve = ["mariadbd", "--no-defaults", "--user=mysql", "--datadir=" + data, f"--port={DB_PORT}",
                 "--bind-address=127.0.0.1", f"--socket={data}/s", f"--pid-file={data}/p",
                 "--skip-name-resolve", "--innodb-buffer-pool-size=256M"]
        make = ["mariadb", "-h", "127.0.0.1", "-P", str(DB_PORT), "-u", "root", "-e"]
        url = f"mysql://root@127.0.0.1:{DB_PORT}/hot"
    database = subprocess.Popen(serve, stdout=log, stderr=log)
    for attempt in range(100):
        if subprocess.run(make + ["create database hot"], capture_output=True).returncode == 0:
            return database, url
        time.sleep(0.1)
    raise SystemExit(open(FOLDER + "/database.log").read())


def start_buynow(port, url):
    folder = f"{FOLDER}/{port}"
    os.mkdir(folder)
    with open(folder + "/config.toml", "w") as config:
        config.write(f'[server]\nport = {port}\nbuyer_requests_per_second = 0\n'
                     f'address_requests_per_second = 0\nworkers = 2\n[database]\nurl = "{url}"\n'
                     '[log]\nlevel = "error"\n')
    out = open(folder + "/out", "w")
    server = subprocess.Popen([BINARY, "serve"], cwd=folder, stdout=out, stderr=out)
    for attempt in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1)
            return server
        except OSError:
            time.sleep(0.1)
    raise SystemExit(open(folder + "/out").read())


def call(url, body=None, token=None):
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = "Bearer " + token
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    return json.loads(urllib.request.urlopen(request, timeout=20).read())


def prepare():
    """The hot SKU, and buyers who are logged in and have an address."""
    goods = {"goods": [{"name": "茶", "code": "hot",
                        "skus": [{"code": "hot", "price_fen": 100, "stock": 100_000_000}]}]}
    json.dump(goods, open(f"{FOLDER}/{PORT}/seed.json", "w"))
    run(BINARY, "seed", "seed.json", cwd=f"{FOLDER}/{PORT}")
    api = f"http://127.0.0.1:{PORT}/api/v1"
    sku = call(f"{api}/goods/{call(api + '/goods')['items'][0]['id']}")["skus"][0]["id"]
    page = html.unescape(urllib.request.urlopen(f"http://127.0.0.1:{PORT}/demo").read().decode())
    wechat = next(url for url in re.findall(r"http://127\.0\.0\.1:\d+", page) if str(PORT) not in url)
    address = {"name": "小明", "phone": "13800138000", "province": "广东省", "city": "深圳市",
               "district": "南山区", "detail": "1 号"}
    buyers = []
    for number in range(64):
        code = call(wechat + "/sandbox/login", {"buyer": f"buyer-{number}"})["code"]
        token = call(api + "/session", {"code": code})["token"]
        buyers.append((token, call(api + "/addresses", address, token)["id"]))
    return sku, buyers


def counters(port):
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    names = [r'buynow_orders_total\{result="placed"\}', r"buynow_batch_members_sum",
             r"buynow_batch_members_count", r"buynow_rollbacks_total\S*"]
    return [sum(float(value) for value in re.findall(f"^{name} (\\S+)", text, re.M)) for name in names]


def measure(ports, connections, sku, buyers):
    before = [counters(port) for port in ports]
    clients = []
    for port in ports:
        script = f"{FOLDER}/{random.random()}.lua"
        listed = ",".join('{"%s",%d}' % buyer for buyer in buyers)
        with open(script, "w") as file:
            file.write(WRK % (listed, random.randrange(1 << 30), sku))
        clients.append(subprocess.Popen(
            ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", script, f"http://127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL))
    for client in clients:
        client.wait()
    after = [counters(port) for port in ports]
    placed, members, batches, rollbacks = (
        sum(now[nth] - then[nth] for now, then in zip(after, before)) for nth in range(4))
    print(f"{len(ports)} x {connections}: {placed / SECONDS:,.0f} orders/s, "
          f"{members / max(batches, 1):.1f} in a batch, {rollbacks:.0f} rollbacks", flush=True)
    return placed / SECONDS


def main():
    database, url = start_database()
    servers = []
    try:
        servers = [start_buynow(port, url) for port in PORTS]
        sku, buyers = prepare()
        measure(PORTS, 8, sku, buyers)
        one, two = [], []
        for number in range(ROUNDS):
            for which in ((one, two) if number % 2 == 0 else (two, one)):
                ports, connections = (PORTS[:1], 64) if which is one else (PORTS, EACH)
                which.append(measure(ports, connections, sku, buyers))
        ratio = statistics.median(second / first for first, second in zip(one, two))
        print(f"medians: one {statistics.median(one):,.0f}, two {statistics.median(two):,.0f} orders/s; "
              f"median of the pairs {ratio:.2f}")
        print(run(BINARY, "audit", cwd=f"{FOLDER}/{PORT}").stdout.strip().splitlines()[-1])
    finally:
        for server in servers:
            server.kill()
        # SIGINT is PostgreSQL's fast shutdown; runuser passes SIGTERM on, which waits for clients.
        database.terminate()
        try:
            database.wait(15)
        except subprocess.TimeoutExpired:
            database.kill()
        shutil.rmtree(FOLDER, ignore_errors=True)


main()
